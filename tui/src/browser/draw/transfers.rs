//! What is copied, moved, deleted and verified: two rows each.

use ratatui::layout::Rect;

use super::super::Browser;
use super::super::jobs::{Job, State};
use super::{JOB_ROWS, fitting, has_title, transfers_body};
use crate::dashboard::draw::cells::{Canvas, columns};
use crate::theme::Role;
use crate::view::text;

/// The room of a job's state, and of its bar.
const STATE: u16 = 9;
const BAR: u16 = 20;

pub(super) fn draw(browser: &Browser, area: Rect, canvas: &mut Canvas<'_>) {
    let jobs = browser.jobs();
    if has_title(area) {
        let style = canvas.style(Role::Title);
        let said = match jobs.unfinished().count() {
            0 => "transfers".to_owned(),
            count => format!("transfers, {count} not over"),
        };
        let mut pen = canvas.row(area, 0);
        pen.skip(1);
        pen.put(&said, style);
    }
    let body = transfers_body(area);
    if jobs.all().is_empty() {
        let style = canvas.style(Role::Muted);
        let mut pen = canvas.row(body, 0);
        pen.skip(1);
        pen.put("nothing was copied, moved or deleted yet", style);
        return;
    }
    let visible = jobs.all().iter().enumerate().skip(jobs.top);
    for (row, (place, job)) in (0..body.height.div_ceil(JOB_ROWS)).zip(visible) {
        let y = row * JOB_ROWS;
        first(job, body, y, canvas);
        second(job, body, y + 1, canvas);
        if place == jobs.at {
            canvas.restyle(body, y, Role::Selected);
        }
    }
}

fn first(job: &Job, area: Rect, y: u16, canvas: &mut Canvas<'_>) {
    let (word, role) = match job.state {
        State::Waiting => ("waiting", Role::Muted),
        State::Running => ("running", Role::Online),
        State::Paused => ("paused", Role::Stale),
        State::Done => ("done", Role::Online),
        State::Failed => ("FAILED", Role::Critical),
        State::Cancelled => ("ended", Role::Muted),
    };
    let (state, plain) = (canvas.style(role), canvas.style(Role::Text));
    let percent = format!("{:>3}%", job.percent());
    let mut pen = canvas.row(area, y);
    pen.skip(1);
    pen.left(word, STATE, state);
    let room = pen.room().saturating_sub(columns(&percent) + 2);
    pen.left(&job.work.title(), room, plain);
    pen.right(&percent, columns(&percent) + 1, plain);
}

fn second(job: &Job, area: Rect, y: u16, canvas: &mut Canvas<'_>) {
    if y >= area.height {
        return;
    }
    let muted = canvas.style(Role::Muted);
    if job.is_over() {
        let role = if job.state == State::Failed {
            Role::ToastError
        } else {
            Role::Muted
        };
        let style = canvas.style(role);
        let mut pen = canvas.row(area, y);
        pen.skip(1 + STATE);
        let room = pen.room();
        return pen.left(&job.note, room, style);
    }
    let key = canvas.style(Role::Key);
    let (done, rest, dot) = (
        canvas.charset.done(),
        canvas.charset.rest(),
        canvas.charset.dot(),
    );
    let mut pen = canvas.row(area, y);
    pen.skip(1 + STATE);
    let width = BAR.min(pen.room() / 2);
    let filled = width * u16::from(job.percent()) / 100;
    pen.put(&done.repeat(filled.into()), key);
    pen.put(&rest.repeat((width - filled).into()), muted);
    pen.skip(1);
    fitting(&mut pen, &about(job), dot, muted);
}

fn about(job: &Job) -> Vec<String> {
    let progress = &job.progress;
    let bytes = match progress.bytes_total {
        0 => String::new(),
        total => format!(
            "{} of {}",
            text::bytes(progress.bytes_done),
            text::bytes(total)
        ),
    };
    let rate = match progress.rate {
        0 => String::new(),
        rate => format!("{}/s", text::bytes(rate)),
    };
    let left = progress
        .left
        .map(|left| format!("{} left", text::age(left)));
    let files = match progress.files_total {
        0 => String::new(),
        total => format!("{} of {total} files", progress.files_done),
    };
    vec![
        bytes,
        rate,
        left.unwrap_or_default(),
        files,
        progress.current.clone(),
    ]
}
