"""From results and AST to pages: what every target shares (`results`, `diagrams`, `maths`, `macros`,
`crossrefs`, `media`) and one module for each target (`html`, `typst`, `latex`)."""
