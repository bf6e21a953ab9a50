"""From results and AST to pages: what targets share (`results`, `diagrams`, `maths`, `macros`, `rawtex`,
`rawhtml`, `crossrefs`, `media`, `page`) and one module for each target (`html`, `typst`, `latex`)."""
