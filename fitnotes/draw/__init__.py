"""Things drawn: formulas, diagrams, pictures in the format that a target shows."""
