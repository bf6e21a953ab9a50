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

  // Long output folds; on paper everything shows.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details").forEach(function (d) { d.open = true; });
  });
});
