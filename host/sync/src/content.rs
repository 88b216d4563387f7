//! What is in a file: the part of it that travels, and three versions of it made one.
