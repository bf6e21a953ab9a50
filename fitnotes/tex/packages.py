"""The preamble of a LaTeX document: what the note says, as written, and the packages that its text needs.

A package that nothing in the text asks for is not loaded, and none that the note loads itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from fitnotes.tex.macros import TAKEN
from fitnotes.tex.tokens import blank_comments, calls, packages
from fitnotes.tex.unicode import declarations

# (package, options, what in the text asks for it), in the order in which they are loaded.
_MATHS = r"\\\(|\\\[|\\begin\{(?:equation|align|gather|multline|flalign)|\$"
_MATHTOOLS = (
    r"\\(?:(?:Col|col|eq)oneq|coloneqq|eqqcolon|vcentcolon|DeclarePairedDelimiter|math[lrc]?lap\b|mathclap|prescript"
    r"|underbracket|overbracket|smashoperator|adjustlimits|shortintertext|xleftrightarrow|xrightleftharpoons|mathmbox"
    r"|cramped)|\\begin\{(?:[dr]cases|drcases|[bpvBV]?matrix\*|multlined)"
)
_LINKS = (
    r"\\(?:href|url|citedon|hyperref|hypertarget|phantomsection|(?:eq|auto)?ref|texorpdfstring)\b|\\section"
)
_GREEK = (
    r"\\up(?:alpha|beta|gamma|delta|epsilon|pi|mu|omega|sigma|theta|lambda|phi|psi|rho|tau|nu|eta|xi|zeta)\b"
)
PACKAGES: tuple[tuple[str, str, str], ...] = (
    ("geometry", "margin=2.6cm", r""),
    ("xcolor", "", r"\\(?:text|define)?color\b|\\f?colorbox|\\begin\{(?:Shaded|fitnotes)"),
    ("amsmath,amssymb", "", _MATHS),
    ("mathtools", "", _MATHTOOLS),
    ("mathrsfs", "", r"\\mathscr\b"),
    ("bm", "", r"\\bm\b"),
    ("dsfont", "", r"\\mathds\b"),
    ("bbm", "", r"\\mathbbm\b"),
    ("stmaryrd", "", r"\\[lr]l?r?bracket\b"),
    ("cancel", "", r"\\(?:b|x)?cancel(?:to)?\b"),
    ("braket", "", r"\\(?:[bB]ra|[kK]et|[bB]raket)\b"),
    ("mhchem", "version=4", r"\\ce\b"),
    ("upgreek", "", _GREEK),
    ("gensymb", "", r"\\(?:degree|celsius|ohm|micro|perthousand)\b"),
    ("empheq", "", r"\\begin\{empheq"),
    ("amscd", "", r"\\begin\{CD\}"),
    ("amsthm", "", r"\\newtheorem|\\theoremstyle|\\begin\{proof\}"),
    ("graphicx", "", r"\\includegraphics|\\resizebox|\\scalebox"),
    ("tikz", "", r"\\begin\{tikzpicture|\\tikz(?:set)?(?![A-Za-z])|\\usetikzlibrary"),
    ("pgfplots", "", r"\\begin\{(?:\w*axis|groupplot)\}|\\addplot|\\pgfplotsset|\\usepgfplotslibrary"),
    ("tikz-cd", "", r"\\begin\{tikzcd"),
    ("circuitikz", "", r"\\begin\{circuitikz"),
    ("forest", "", r"\\begin\{forest"),
    ("longtable", "", r"\\begin\{longtable"),
    ("booktabs", "", r"\\(?:top|mid|bottom)rule\b"),
    ("array", "", r"\\arraybackslash|\\begin\{tabular|\\begin\{longtable"),
    ("multirow", "", r"\\multirow\b"),
    ("calc", "", r"\\real\{"),
    ("float", "", r"\\begin\{figure\}\[H\]"),
    ("framed", "", r"\\begin\{fitnotescallout"),
    ("soul", "", r"\\(?:st|ul|hl)\{"),
    ("fancyvrb", "", r"\\begin\{(?:Verbatim|Highlighting|fitnotes|verbatim)|\\Verb"),
    ("hyperref", "colorlinks,allcolors=blue!50!black", _LINKS),
)

VERBATIM = r"""\IfFileExists{fvextra.sty}{\usepackage{fvextra}\fvset{breaklines,breakanywhere,breaksymbolleft={}}}{}
\DefineVerbatimEnvironment{verbatim}{Verbatim}{fontsize=\small}"""
HIGHLIGHTED = r"""\AtBeginDocument{\ifcsname Highlighting\endcsname
  \RecustomVerbatimEnvironment{Highlighting}{Verbatim}{commandchars=\\\{\},fontsize=\small}\fi}"""
OUTPUT = r"""\DefineVerbatimEnvironment{fitnotesoutput}{Verbatim}{frame=leftline,framesep=3mm,%
  rulecolor=\color{black!25},fontsize=\small}
\DefineVerbatimEnvironment{fitnoteserror}{Verbatim}{frame=leftline,framesep=3mm,%
  rulecolor=\color{red!60!black},fontsize=\small,formatcom=\color{red!60!black}}"""
CALLOUT = r"""\definecolor{fitnotesnote}{HTML}{1F6FB5}\definecolor{fitnotestip}{HTML}{1A7F4B}
\definecolor{fitnotesimportant}{HTML}{7A3FB0}\definecolor{fitnoteswarning}{HTML}{A8700B}
\definecolor{fitnotescaution}{HTML}{B3261E}
\newenvironment{fitnotescallout}[1]{\def\FrameCommand{{\color{#1}\vrule width 2pt}\hspace{8pt}}%
  \MakeFramed{\advance\hsize-\width\FrameRestore}}{\endMakeFramed}"""
PICTURE = r"""% A picture higher or wider than there is room is made to fit.
\newsavebox{\picturebox}
\newcommand{\pictureshare}{0.9}
\newcommand{\pandocbounded}[1]{\sbox{\picturebox}{#1}%
  \ifdim\ht\picturebox>\pictureshare\textheight
    \sbox{\picturebox}{\resizebox{!}{\pictureshare\textheight}{\usebox{\picturebox}}}\fi
  \ifdim\wd\picturebox>\linewidth\resizebox{\linewidth}{!}{\usebox{\picturebox}}\else\usebox{\picturebox}\fi}"""
FOOTNOTES = r"\IfFileExists{footnotehyper.sty}{\usepackage{footnotehyper}}{\usepackage{footnote}}"
CITATIONS = r"""\newcommand{\citeproctext}{}
\DeclareRobustCommand{\citeproc}[2]{\hyperlink{cite.#1}{#2}}
\newenvironment{CSLReferences}[2]{%
  \begin{list}{}{\setlength{\leftmargin}{1.5em}\setlength{\itemindent}{-1.5em}\setlength{\labelwidth}{0pt}\setlength{\labelsep}{0pt}}%
  \renewcommand{\bibitem}[2][]{\item\hypertarget{cite.##2}{}}}{\end{list}}
\newcommand{\CSLBlock}[1]{\par #1}
\newcommand{\CSLLeftMargin}[1]{\makebox[2.5em][l]{#1}}
\newcommand{\CSLRightInline}[1]{#1}
\newcommand{\CSLIndent}[1]{\hspace{1.5em}#1}"""
PROBLEM = r"\newcommand{\fitnotesproblem}[1]{\textcolor{red!70!black}{#1}}"
TIGHT_LIST = r"\newcommand{\tightlist}{\setlength{\itemsep}{0pt}\setlength{\parskip}{0pt}}"
# The pages where a source is cited, each once.
CITED_ON = r"""\makeatletter
\newcommand{\citedon}[1]{{\small(p.~\def\fn@last{}\let\fn@between\relax\@for\fn@place:=#1\do{%
  \@ifundefined{r@\fn@place}{}{%
  \edef\fn@page{\expandafter\expandafter\expandafter\@secondoffive\csname r@\fn@place\endcsname}%
  \ifx\fn@page\fn@last\else\fn@between\pageref{\fn@place}\def\fn@between{, }\let\fn@last\fn@page\fi}})}}
\makeatother"""
# unicode-math leaves \boldsymbol on Greek letters silently light, and \bm is an error.
UNICODE_MATH = r"""\unimathsetup{mathbf=sym}
\AtBeginDocument{\let\boldsymbol\symbfit\let\bm\symbfit}"""
FALLBACK = r"""\ifLuaTeX
  \newcommand{\notesfallback}[2]{\IfFontExistsTF{#2}{\directlua{table.insert(notes#1, "#2:mode=node;")}}{}}
  \directlua{notesmono, notesserif = {}, {}}
  FONTS
  \directlua{
    if notesmono[1] then luaotfload.add_fallback("notesmono", notesmono) end
    if notesserif[1] then luaotfload.add_fallback("notesserif", notesserif) end}
  \setmonofont{Latin Modern Mono}[RawFeature={fallback=notesmono}]
  \setmainfont{Latin Modern Roman}[RawFeature={fallback=notesserif}]
\fi"""
# \\mathbb{1}: its font has capitals only.
_ONE = r"""\IfFileExists{dsfont.sty}{\usepackage{dsfont}\newcommand{\doublestruckone}{\mathds{1}}}%
  {\newcommand{\doublestruckone}{\mathrm{1\mkern-4mu l}}}
\let\mathbbletters\mathbb
\protected\def\mathbb#1{\def\asked{#1}\def\one{1}\ifx\asked\one\doublestruckone\else\mathbbletters{#1}\fi}"""
# Inside \\mathbf it would be a tilde.
_VEC = r'\protected\def\vec{\mathaccent"017E }'
# With one of these, alphabets are what the note makes of them.
ALPHABETS = frozenset({
    "unicode-math", "mathalpha", "mathalfa", "bbold", "dutchcal", "boondox-cal", "eucal", "euscript", "mathspec",
    "newtxmath", "newpxmath", "fourier", "libertinust1math", "stix", "stix2", "lucimatx",
})  # fmt: skip
# Fonts with what Latin Modern lacks; those for Chinese, Japanese and Korean are looked for where they are needed.
FONTS = (("mono", "DejaVu Sans Mono"), ("serif", "DejaVu Serif"), ("serif", "DejaVu Sans"))
CJK_FONTS = ("Noto Serif CJK SC", "Noto Sans CJK SC", "Source Han Serif SC", "Droid Sans Fallback",
             "FandolSong-Regular",
             "WenQuanYi Zen Hei", "SimSun", "Songti SC")  # fmt: skip
CJK = re.compile("[\u2e80-\ud7ff\uf900-\ufaff\uff00-\uffef]")
# With one of these the note sees to Chinese, Japanese and Korean by itself.
CJK_PACKAGES = frozenset(
    {"CJK", "CJKutf8", "ctex", "xeCJK", "luatexja", "luatexja-fontspec", "luatexko", "kotex"}
)
# Lines break between any two characters; babel knows where they may not.
_CJK_LINES = r"""\ifLuaTeX
  \makeatletter\@ifpackageloaded{babel}{}{\usepackage[english,shorthands=off]{babel}}\makeatother
  \babelprovide[import,onchar=ids]{japanese}\babelprovide[import,onchar=ids]{chinese-simplified}
\fi"""


# LaTeX has four levels of a list.
_LISTS = r"""\usepackage{enumitem}
\setlistdepth{LEVELS}
\renewlist{itemize}{itemize}{LEVELS}\setlist[itemize]{label=\textbullet}
\renewlist{enumerate}{enumerate}{LEVELS}\setlist[enumerate]{label=\arabic*.}"""
BEAMER = {
    "geometry",
    "hyperref",
    "xcolor",
    "amsmath",
    "amssymb",
    "amsthm",
    "graphicx",
}  # which it loads itself


def renewed(preamble: str) -> str:
    """The note's preamble as written, but for a \\newcommand whose name LaTeX has already, or that stands twice."""
    seen: set[str] = set()
    out, at = "", 0
    for call in calls(preamble, newcommand="sm", renewcommand="sm", providecommand="sm"):
        name = call.arguments[0].strip()
        if not re.fullmatch(r"\\[A-Za-z@]+", name):  # a parameter, in a macro that defines others
            continue
        taken = name in TAKEN or name in seen
        seen.add(name)
        out += preamble[at : call.start]
        at = call.start
        if call.name == "renewcommand" and not taken:
            out += f"\\providecommand{{{name}}}{{}}"
        elif call.name == "newcommand" and taken:
            out += "\\renewcommand"
            at += len("\\newcommand")
    return out + preamble[at:]


def write(
    body: str,
    own: str,
    definitions: Iterable[str],
    theorems: str,
    *,
    geometry: bool,
    mainfont: bool,
    beamer: bool = False,
) -> str:
    """The preamble for a ``body``. ``own`` is the note's, as written; ``theorems`` declares what it lacks."""
    have = packages(own) | (BEAMER if beamer else set())
    defined = "\n".join(definitions)
    text = "\n".join((body, blank_comments(own), defined, theorems))
    signs = declarations(body + text)
    parts = [
        _packages(text, have, body, geometry),
        *_helpers(body, beamer),
        "" if beamer or "enumitem" in have else _lists(body),
        f"\\ifPDFTeX\n{signs}\n\\fi" if signs else "",
        "" if mainfont or have & CJK_PACKAGES else _fonts(body),
        _CJK_LINES if CJK.search(body) and not have & CJK_PACKAGES else "",
        _VEC if "\\vec" in text and not have & ALPHABETS else "",
        own.strip() + (f"\n{UNICODE_MATH}" if "unicode-math" in have else ""),
        defined,
        _ONE if re.search(r"\\mathbb\s*\{?\s*1", text) and not have & ALPHABETS else "",
        theorems,
    ]
    return "\n".join(part for part in parts if part.strip())


def _packages(text: str, have: set[str], body: str, geometry: bool) -> str:
    """What loads the packages that ``text`` asks for and that are not loaded yet."""
    wanted = [
        (name, options)
        for name, options, asked in PACKAGES
        if not have.issuperset(name.split(","))
        and re.search(asked, text)
        and not (name == "geometry" and geometry)
    ]
    names = {name for name, _ in wanted}
    if "xcolor" not in names | have and ("hyperref" in names or "\\fitnotesproblem" in body):
        wanted.insert(1, ("xcolor", ""))
    return "\n".join(f"\\usepackage{f'[{options}]' if options else ''}{{{name}}}" for name, options in wanted)


def _helpers(body: str, beamer: bool) -> list[str]:
    """The commands and environments that pandoc and we write into a ``body`` and LaTeX does not know."""
    helpers = (
        (r"\\begin\{(?:[vV]erbatim|Highlighting|fitnotes)", VERBATIM),
        (r"\\begin\{Highlighting\}", HIGHLIGHTED),
        (r"\\begin\{fitnotes", OUTPUT),
        (r"\\begin\{fitnotescallout", CALLOUT),
        (r"\\footnote\{", _footnotes(body)),
        (r"\\fitnotesproblem", PROBLEM),
        (r"\\pandocbounded", PICTURE.replace("{0.9}", "{0.66}") if beamer else PICTURE),
        (r"CSLReferences", CITATIONS),
        (r"\\citedon", CITED_ON),
        (r"\\tightlist", TIGHT_LIST),
        (r"\\[lg]t(?![A-Za-z])", r"\providecommand{\lt}{<}\providecommand{\gt}{>}"),  # as MathJax has them
    )
    return [tex for asked, tex in helpers if re.search(asked, body)]


def _lists(body: str) -> str:
    """More levels of lists, if a ``body`` has more than LaTeX."""
    depth = most = 0
    for match in re.finditer(r"\\(begin|end)\{(?:itemize|enumerate|description)\}", body):
        depth += 1 if match[1] == "begin" else -1
        most = max(most, depth)
    return _LISTS.replace("LEVELS", str(most)) if most > 4 else ""


def _footnotes(body: str) -> str:
    """Saves footnotes from what would swallow them."""
    names = (name for name in ("fitnotescallout", "longtable", "minipage") if f"\\begin{{{name}}}" in body)
    boxes = "".join(f"\\makesavenoteenv{{{name}}}" for name in names)
    return FOOTNOTES + boxes if boxes else ""


def _fonts(body: str) -> str:
    """Fonts for what is not Latin in a ``body``."""
    if not re.search("[\u0180-\uffff]", body):
        return ""
    cjk = [(kind, name) for name in CJK_FONTS for kind in ("mono", "serif")] if CJK.search(body) else []
    tests = "\n  ".join(f"\\notesfallback{{{kind}}}{{{name}}}" for kind, name in (*FONTS, *cjk))
    return FALLBACK.replace("FONTS", tests)
