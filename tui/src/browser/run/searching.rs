//! Looking for names and contents: what is found is told as it comes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::Error;
use cmdop_proto::v1;
use tokio::sync::mpsc;

use super::super::found::MAX_MATCHES;
use super::super::path;
use super::super::{Event, Find, Match, Spot};
use super::pool::Pool;

/// How often what was found is told.
const TELL_EVERY: Duration = Duration::from_millis(100);

/// What of a line is kept.
const MAX_LINE: usize = 512;

/// Looks for it, and tells that it is over.
pub(super) async fn find(
    pool: Arc<Pool>,
    number: u64,
    spot: Spot,
    find: Find,
    tell: mpsc::Sender<Event>,
) {
    let searched = search(&pool, number, &spot, &find, &tell).await;
    let answer = searched.map(|()| None).map_err(|error| error.refusal());
    let _ = tell.send(Event::Found(number, answer)).await;
}

async fn search(
    pool: &Pool,
    number: u64,
    spot: &Spot,
    find: &Find,
    tell: &mpsc::Sender<Event>,
) -> Result<(), Error> {
    let mut files = pool.open(&spot.end.place()).await?;
    let came = Mutex::new(Vec::new());
    let take = || std::mem::take(&mut *came.lock().unwrap_or_else(PoisonError::into_inner));
    let searching = files.search(request(spot, find), |it| {
        // What cannot be read holds nothing for this user.
        if let Ok(it) = it {
            came.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend(read(it));
        }
    });
    let mut searching = std::pin::pin!(searching);
    let mut tick = tokio::time::interval(TELL_EVERY);
    loop {
        let result = tokio::select! {
            result = &mut searching => Some(result),
            _ = tick.tick() => None,
        };
        let found = take();
        if !found.is_empty()
            && tell
                .send(Event::Found(number, Ok(Some(found))))
                .await
                .is_err()
        {
            return Ok(());
        }
        if let Some(result) = result {
            return result;
        }
    }
}

fn request(spot: &Spot, find: &Find) -> v1::FileSearch {
    let search = v1::FileSearch {
        path: spot.path.clone(),
        max: MAX_MATCHES as u32 + 1,
        ..v1::FileSearch::default()
    };
    // Who writes a capital letter means it.
    let ignore_case = |text: &str| !text.chars().any(char::is_uppercase);
    match find {
        Find::Name(text) => v1::FileSearch {
            glob: vec![if text.contains(['*', '?', '[', '{']) {
                text.clone()
            } else {
                format!("*{text}*")
            }],
            ignore_case: ignore_case(text),
            ..search
        },
        Find::Text(text) => v1::FileSearch {
            content_regex: text.clone(),
            ignore_case: ignore_case(text),
            gitignore: true,
            ..search
        },
    }
}

fn read(it: v1::FileMatch) -> Option<Match> {
    let path = it.entry?.path;
    let is_inside = path.split(|byte| *byte == b'/').all(path::is_name);
    let line = it.text.iter().take(MAX_LINE);
    let line: Vec<u8> = line
        .map(|byte| if *byte == b'\t' { b' ' } else { *byte })
        .collect();
    is_inside.then(|| Match {
        shown: path::shown(&path),
        path: Bytes::copy_from_slice(&path),
        line: it.line,
        text: path::shown(&line).trim().to_owned(),
    })
}
