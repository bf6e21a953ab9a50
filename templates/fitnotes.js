// MathJax reads this when it starts: AMS numbers, and nothing that would fetch a file.
const packages = (document.querySelector('meta[name="mathjax-packages"]') || { content: "" }).content;
window.MathJax = {
  tex: {
    tags: "ams",
    packages: { "[-]": ["require", "autoload"], "[+]": packages.split(" ").filter(Boolean) },
  },
  svg: { fontCache: "global" },
  options: {
    enableMenu: false,
    skipHtmlTags: ["script", "noscript", "style", "textarea", "pre", "code"],
  },
};

document.addEventListener("DOMContentLoaded", function () {
  // On a small screen the table of contents starts closed.
  const toc = document.querySelector("#toc details");
  if (toc && window.matchMedia("(max-width: 68rem)").matches) toc.open = false;

  // A copy button on every block of code; clipboard access needs no permission after a click.
  document.querySelectorAll("div.sourceCode").forEach(function (block) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy";
    button.textContent = "Copy";
    button.addEventListener("click", function () {
      const text = block.querySelector("code").innerText;
      const done = function (word) {
        button.textContent = word;
        window.setTimeout(function () { button.textContent = "Copy"; }, 1500);
      };
      const selected = function () {
        const area = document.createElement("textarea");
        area.value = text;
        document.body.append(area);
        area.select();
        const copied = document.execCommand("copy");
        area.remove();
        done(copied ? "Copied" : "Failed");
      };
      if (navigator.clipboard) navigator.clipboard.writeText(text).then(() => done("Copied"), selected);
      else selected();
    });
    block.append(button);
  });

  // A look at what a reference leads to, without going there.
  const peek = document.createElement("div");
  peek.className = "peek";
  peek.hidden = true;
  peek.setAttribute("role", "tooltip");
  document.body.append(peek);
  let timer = 0;
  const hide = function () { window.clearTimeout(timer); timer = window.setTimeout(() => { peek.hidden = true; }, 200); };
  const subject = function (target) {
    const holder = document.createElement("div");
    if (/^H[1-6]$/.test(target.tagName)) {
      // A heading with the beginning of its section.
      for (let part = target, n = 0; part && n < 3; part = part.nextElementSibling, n++) {
        if (n && /^(H[1-6]|SECTION)$/.test(part.tagName)) break;
        holder.append(part.cloneNode(true));
      }
    } else {
      holder.append(target.cloneNode(true));
    }
    holder.querySelectorAll("[id]").forEach((part) => part.removeAttribute("id"));
    holder.querySelectorAll("input").forEach((part) => part.remove());
    return holder;
  };
  document.querySelectorAll('a.ref[href^="#"], a[role="doc-biblioref"], a.footnote-ref').forEach(function (link) {
    const show = function () {
      const target = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (!target) return;
      window.clearTimeout(timer);
      timer = window.setTimeout(function () {
        peek.replaceChildren(...subject(target).childNodes);
        peek.hidden = false;
        const box = link.getBoundingClientRect(), size = peek.getBoundingClientRect();
        const left = Math.min(box.left, document.documentElement.clientWidth - size.width - 16);
        const below = box.bottom + 6 + size.height < window.innerHeight || box.top < size.height + 6;
        peek.style.left = Math.max(8, left) + window.scrollX + "px";
        peek.style.top = (below ? box.bottom + 6 : box.top - size.height - 6) + window.scrollY + "px";
      }, 150);
    };
    link.addEventListener("mouseenter", show);
    link.addEventListener("focus", show);
    link.addEventListener("mouseleave", hide);
    link.addEventListener("blur", hide);
  });
  peek.addEventListener("mouseenter", () => window.clearTimeout(timer));
  peek.addEventListener("mouseleave", hide);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") peek.hidden = true; });

  // A link to something behind a tab chooses that tab.
  const open = function () {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const tab = target && target.closest(".tabset > .tab");
    if (!tab) return;
    let choice = tab.previousElementSibling;
    while (choice && choice.tagName !== "INPUT") choice = choice.previousElementSibling;
    if (choice) choice.checked = true;
    target.scrollIntoView();
  };
  window.addEventListener("hashchange", open);
  open();

  // Long output folds; on paper everything shows.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (d) { d.open = true; });
  });
});
