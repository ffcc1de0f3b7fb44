"""Parts of the reader of annotations: types, typing constructs, and text."""
