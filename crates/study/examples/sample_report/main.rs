//! Writes the report of an invented study, to look at while changing the page:
//!
//!   cargo run -p metaprompt-study --example sample_report -- FOLDER

mod sample;

use metaprompt_study::report::{Options, write};
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("give a folder to write to")?;
    let texts = std::env::args().nth(2).as_deref() != Some("--no-text");
    write(&sample::results(), &Options { texts }, Path::new(&folder))?;
    Ok(())
}
