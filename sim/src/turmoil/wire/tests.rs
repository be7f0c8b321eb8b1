use quorate_io::wire::{Call, decode};

use super::*;
