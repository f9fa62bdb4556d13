//! The rules of the house, checked on the source tree itself: who may import whom, how files begin,
//! what may not be in them. What can only be judged by a reader is not here.

mod files;
mod imports;
mod man_and_themes;
mod tree;
mod units;
