// A deck: reveal.js, with every slide made to fit its frame.
(function () {
  const width = Number(document.body.dataset.width), height = Number(document.body.dataset.height);
  document.body.style.setProperty("--slide-height", height + "px");
  document.querySelectorAll(".incremental li").forEach((item) => item.classList.add("fragment"));

  // Smaller until it fits: what stands on a slide is never cut off.
  function fit(slide) {
    const body = slide && slide.querySelector(":scope > .slide-body");
    if (!body || !body.clientHeight) return;
    const inner = body.firstElementChild;
    const wide = inner.querySelectorAll("table, pre, .math.display"); // what would scroll by itself on a page
    const tooLarge = () => body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1
      || [...wide].some((part) => part.scrollWidth > part.clientWidth + 1);
    let scale = 1;
    body.classList.remove("scrolls");
    inner.style.zoom = scale;
    while (tooLarge() && scale > 0.32) {
      scale -= 0.04;
      inner.style.zoom = scale;
    }
    if (tooLarge()) body.classList.add("scrolls");
  }

  const deck = new Reveal({
    width: width, height: height, margin: 0, controlsLayout: "edges", minScale: 0.1, maxScale: 4, center: false,
    hash: true, slideNumber: false, transition: "none", pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    plugins: window.RevealNotes ? [window.RevealNotes] : [],
  });
  const fitAll = () => document.querySelectorAll("section.slide").forEach(fit);
  deck.on("slidechanged", (event) => fit(event.currentSlide));
  deck.on("pdf-ready", fitAll);
  // A tab, or something that unfolds, changes how much there is.
  document.addEventListener("change", (event) => fit(event.target.closest("section.slide")));
  document.addEventListener("toggle", (event) => fit(event.target.closest("section.slide")), true);
  deck.initialize().then(function () {
    fitAll();
    document.fonts.ready.then(fitAll);
  });
  window.deck = deck;
})();
