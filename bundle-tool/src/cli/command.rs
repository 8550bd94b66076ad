//! The commands: one line each here, one file each beside this one.

use std::process::ExitCode;

use clap::Subcommand;

use super::{
    Failure, adapter, build, completions, debug, disk_image, doctor, env, init, inspect, keygen,
    logs, pack, ps, remote, rm, run, stop, supervise, trace, verify,
};
use crate::ui::Ui;

#[derive(Subcommand)]
pub(super) enum Command {
    // --- a project, from nothing to a pair of files ---
    Init(init::Init),
    Build(build::Build),
    Pack(pack::Pack),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Keygen(keygen::Keygen),

    // --- what runs ---
    Run(Box<run::Run>),
    Ps(ps::Ps),
    Logs(logs::Logs),
    Stop(stop::Stop),
    Rm(rm::Rm),
    Trace(trace::Trace),
    Adapter(adapter::Adapter),
    Debug(debug::Debug),
    #[command(hide = true)]
    Supervise(supervise::Supervise),

    // --- this machine and others ---
    Env(env::Env),
    Doctor(doctor::Doctor),
    Remote(remote::Remote),
    Completions(completions::Completions),

    // --- single files ---
    DiskImage(disk_image::DiskImage),
}

impl Command {
    pub(super) fn execute(self, ui: &Ui) -> Result<ExitCode, Failure> {
        match self {
            // --- a project, from nothing to a pair of files ---
            Command::Init(init) => init.execute(ui),
            Command::Build(build) => build.execute(ui),
            Command::Pack(pack) => pack.execute(ui),
            Command::Inspect(inspect) => inspect.execute(ui),
            Command::Verify(verify) => verify.execute(ui),
            Command::Keygen(keygen) => keygen.execute(ui),

            // --- what runs ---
            Command::Run(run) => run.execute(ui),
            Command::Ps(ps) => ps.execute(ui),
            Command::Logs(logs) => logs.execute(ui),
            Command::Stop(stop) => stop.execute(ui),
            Command::Rm(rm) => rm.execute(ui),
            Command::Trace(trace) => trace.execute(ui),
            Command::Adapter(adapter) => adapter.execute(ui),
            Command::Debug(debug) => debug.execute(ui),
            Command::Supervise(supervise) => supervise.execute(ui),

            // --- this machine and others ---
            Command::Env(env) => env.execute(ui),
            Command::Doctor(doctor) => doctor.execute(ui),
            Command::Remote(remote) => remote.execute(ui),
            Command::Completions(completions) => completions.execute(ui),

            // --- single files ---
            Command::DiskImage(disk_image) => disk_image.execute(ui),
        }
    }
}
