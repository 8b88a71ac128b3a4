//! `cargo xtask seeds`: tells the stories of many seeds, of a log on a failing disk, in a release build.

use anyhow::{Result, bail};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds
    #[arg(default_value_t = 10_000)]
    count: u64,
    /// The first of them
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// How many threads tell stories
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let numbers = [args.count, args.from, args.threads].map(|number| number.to_string());
    let mut command = crate::cargo();
    command.args(["run", "--release", "--package", "riverrun-sim", "--"]).args(numbers).current_dir(crate::root());
    if !command.status()?.success() {
        bail!("a promise was broken: `RIVERRUN_SIM_TRACE=1 cargo xtask seeds 1 --from SEED` tells how");
    }
    Ok(())
}
