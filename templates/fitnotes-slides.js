// A deck: reveal.js, with every slide made to fit its frame.
(function () {
  const width = Number(document.body.dataset.width), height = Number(document.body.dataset.height);

  document.querySelectorAll(".incremental li").forEach((item) => item.classList.add("fragment"));

  // Smaller until it fits: what stands on a slide is never cut off.
  function fit(slide) {
    const body = slide.querySelector(":scope > .slide-body");
    if (!body || body.dataset.fitted || !body.clientHeight) return;
    body.dataset.fitted = "1";
    let scale = 1;
    const inner = body.firstElementChild;
    const wide = inner.querySelectorAll("table, pre, .math.display"); // what would scroll by itself on a page
    const tooLarge = () => body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1
      || [...wide].some((part) => part.scrollWidth > part.clientWidth + 1);
    while (tooLarge() && scale > 0.4) {
      scale -= 0.04;
      inner.style.zoom = scale;
    }
    if (tooLarge()) body.style.overflowY = "auto";
  }

  const deck = new Reveal({
    width: width, height: height, margin: 0, controlsLayout: "edges", minScale: 0.1, maxScale: 4, center: false, hash: true,
    slideNumber: false, transition: "none", plugins: window.RevealNotes ? [window.RevealNotes] : [],
    pdfSeparateFragments: false,
  });
  const fitAll = () => deck.getSlides().forEach(fit);
  deck.on("slidechanged", (event) => fit(event.currentSlide));
  deck.on("pdf-ready", fitAll);
  deck.initialize().then(function () {
    fit(deck.getCurrentSlide());
    document.fonts.ready.then(() => fit(deck.getCurrentSlide()));
  });
  window.deck = deck;
})();
