//! What the fuzz targets share: the other side of a wire. It turns a fuzzer's choices into frames and
//! requests that get past the outer checks, so that garbage reaches the code behind them too.
#![forbid(unsafe_code)]

pub mod answer;
pub mod packet;
pub mod peer;
pub mod request;
