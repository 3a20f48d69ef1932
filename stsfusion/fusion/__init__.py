"""The question (Problem), the answer (Answer) and the promise between them (FusionMethod)."""
