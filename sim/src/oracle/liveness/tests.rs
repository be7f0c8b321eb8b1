//! Each property of the family is seen where it fails, and not where it holds.
