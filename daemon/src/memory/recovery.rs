//! Opening a memory after the death of its worker: how far each announced move got.

use std::io;
use std::os::fd::OwnedFd;

use cmdop_proto::Offset;
use rustix::io::ioctl_fionread;

use super::checkpoint::Checkpoint;
use super::layout::{self, Field, InputRecord, Layout};
use super::{Memory, Parts};

pub(super) fn open(parts: Parts) -> io::Result<Memory> {
    let layout = Layout::read(&parts.file)?;
    let mut input = InputRecord::read(&parts.file)?;
    input.recover(in_pipe(&parts.input.0)?);
    input.write(&parts.file)?;
    let clients = layout::clients(&parts.file)?;
    let slots = clients.iter().enumerate();
    let slots = slots.map(|(slot, (client, _))| (*client, slot)).collect();
    let mut memory = Memory {
        end: Offset(layout::get(&parts.file, Field::End)?),
        checkpoint: Checkpoint::read(&parts.file)?,
        next_slot: clients.len() % super::CLIENT_SLOTS,
        input,
        layout,
        slots,
        can_splice: true,
        parts,
    };
    finish_output(&mut memory)?;
    Ok(memory)
}

/// What the pipe lacks of an announced move is in the log; what it holds goes there now.
fn finish_output(memory: &mut Memory) -> io::Result<()> {
    let moving = layout::get(&memory.parts.file, Field::Moving)? as usize;
    let left = in_pipe(&memory.parts.output.0)?;
    if moving > 0 {
        memory.end = memory.end.advance(moving.saturating_sub(left));
        layout::set_end(&memory.parts.file, memory.end, 0)?;
    }
    memory.settle(left)
}

fn in_pipe(reader: &OwnedFd) -> io::Result<usize> {
    Ok(ioctl_fionread(reader)? as usize)
}
