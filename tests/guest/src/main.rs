//! The program in the virtual machine that the system tests drive. Its first argument says what it
//! does; `tests/vm/` has the other side.
#![no_std]
#![no_main]

extern crate alloc;

mod devices;
mod disk;
mod faults;
mod interrupts;
mod lines;
mod memory;
mod time;
mod traces;

use ukernel::{Context, ExitCode, Result};

/// Without an argument it ends at once, with success.
#[ukernel::main]
async fn main(ctx: Context) -> Result<ExitCode> {
    let arguments = ctx.args();
    let number = arguments.get(1).and_then(|text| text.parse().ok());
    match arguments.first().copied().unwrap_or("hello") {
        "hello" => log::info!("guest: hello arguments={arguments:?}"),
        "status" => return Ok(ExitCode::from(number.unwrap_or(0) as u8)),
        "error" => return Err("guest: failing on purpose".into()),

        "panic" => faults::panic(),
        "panic-behind" => {
            lines::queue(number.unwrap_or(1));
            faults::panic();
        }
        "panic-task" => faults::panic_in_task(&ctx).await,
        "panic-multiline" => panic!("first line\nukernel: exit status=0\nlast line"),
        "panic-twice" => panic!("{}", faults::PanicsWhenShown),
        "overflow" => faults::overflow(),
        "overflow-logging" => faults::overflow_while_logging(number.unwrap_or(1000)),
        "overflow-task" => faults::overflow_in_task(&ctx).await,
        "overflow-stack" => faults::overflow_a_stack(),
        "null" => faults::read_null(),
        "call-null" => faults::call_null(),
        "page-fault" => faults::write_unmapped(),
        "write-rodata" => faults::write_constant(),
        "write-text" => faults::write_code(),
        "exec-heap" => faults::execute_heap(),
        "exec-rodata" => faults::execute_constant(),
        "invalid-opcode" => faults::invalid_opcode(),
        "general-protection" => faults::general_protection(),
        "divide" => faults::divide_by_zero(),
        "bad-stack" => faults::lose_the_stack(),

        "oom" => memory::exhaust_by_boxes(),
        "oom-vec" => memory::exhaust_by_a_vector(),
        "oom-region" => memory::exhaust_by_touching(),
        "try-oom" => memory::try_to_exhaust(),
        "memory" => memory::check_everything(),
        "pass-on" => memory::pass_on(),
        "high-memory" => memory::use_high_memory(),

        "sleep" => time::sleep(&ctx, number.unwrap_or(100)).await,
        "timers" => time::check_timers(&ctx).await,
        "clock" => time::tick(&ctx, number.unwrap_or(5)).await,
        "wall-clock" => time::wall_clock(&ctx),
        "idle" => time::idle(&ctx, number.unwrap_or(5)).await,
        "spin" => time::spin(&ctx, number.unwrap_or(4)).await,

        "disk-pattern" => disk::write_pattern(&ctx).await?,
        "disk-places" => disk::write_places(&ctx).await?,
        "disk-refused" => disk::write_refused(&ctx).await?,

        "spurious" => interrupts::check_spurious(&ctx).await,
        "networks" => devices::serve_networks(&ctx).await,
        "random" => devices::draw(&ctx),

        "trace-spans" => traces::spans(&ctx).await?,
        "trace-ticks" => traces::tick(&ctx).await?,
        "trace-listen" => traces::listen(&ctx).await?,
        "trace-fail" => traces::fail(&ctx, arguments.get(1).copied().unwrap_or_default()).await?,

        "log-busy" => lines::stay_busy(&ctx).await,
        "log-flood" => lines::flood(&ctx, number.unwrap_or(5_000)).await,
        "serial-echo" => lines::echo(&ctx).await,
        "stop" => lines::wait_for_stop(&ctx).await,
        "modules" => lines::show_modules(&ctx),
        other => return Err(alloc::format!("guest: unknown mode {other:?}").into()),
    }
    Ok(ExitCode::SUCCESS)
}
