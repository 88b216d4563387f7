//! Tasks: AI CLIs that run supervised.
