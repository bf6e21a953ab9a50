"""Mermaid diagrams as SVG, with formulas in their labels."""
