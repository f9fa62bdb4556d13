//! The beginning of what is selected, made into something to look at. What takes time is done beside the loop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cmdop_client::Error;
use cmdop_client::files::{Files, Follow, Listing};
use cmdop_proto::v1;
use tokio::sync::mpsc;

use super::super::entry::{Entry, Kind, Order};
use super::super::{Content, Event, Spot, syntax};
use super::pool::Pool;

/// Who only passes by reads nothing.
const PAUSE: Duration = Duration::from_millis(40);

/// What is read of a file.
const MAX_READ: u64 = 64 << 10;

/// What is shown of a file that is no text.
const MAX_BYTES: usize = 4 << 10;

/// Entries of a directory that are shown.
const MAX_ENTRIES: usize = 1_000;

/// Reads and tells.
pub(super) async fn preview(
    pool: Arc<Pool>,
    number: u64,
    spot: Spot,
    kind: Kind,
    tell: mpsc::Sender<Event>,
) {
    tokio::time::sleep(PAUSE).await;
    let content = match content(&pool, &spot, kind).await {
        Ok(content) => content,
        Err(error) => Content::Words(error.refusal().message),
    };
    let _ = tell.send(Event::Previewed(number, content)).await;
}

async fn content(pool: &Pool, spot: &Spot, kind: Kind) -> Result<Content, Error> {
    let place = spot.end.place();
    if let Some(mut files) = pool.kept(&place) {
        match read(&mut files, spot, kind).await {
            Err(error) if error.is_connection() => {}
            answer => {
                pool.keep(place, files);
                return answer;
            }
        }
    }
    let mut files = pool.open(&place).await?;
    let answer = read(&mut files, spot, kind).await;
    if answer.is_ok() {
        pool.keep(place, files);
    }
    answer
}

async fn read(files: &mut Files, spot: &Spot, kind: Kind) -> Result<Content, Error> {
    let kind = match kind {
        Kind::Link => match files.stat(&spot.path, Follow::Yes).await?.kind() {
            v1::FileKind::Directory => Kind::Directory,
            _ => Kind::File,
        },
        kind => kind,
    };
    if kind == Kind::Directory {
        return directory(files, &spot.path).await;
    }
    let mut data = Vec::new();
    files
        .read(&spot.path, 0, MAX_READ, |piece| {
            data.extend_from_slice(&piece);
            true
        })
        .await?;
    let path = spot.path.clone();
    let made = tokio::task::spawn_blocking(move || made(&path, &data.into()));
    // What cannot be made anything of is shown as what it is.
    let failed = |_| Content::Words("this cannot be shown".into());
    Ok(made.await.unwrap_or_else(failed))
}

async fn directory(files: &mut Files, path: &Bytes) -> Result<Content, Error> {
    let list = v1::FileList {
        path: path.clone(),
        ..v1::FileList::default()
    };
    let mut entries = Vec::new();
    files
        .list(list, |part| {
            if let Listing::Entries(some) = part {
                let room = MAX_ENTRIES - entries.len();
                entries.extend(some.iter().filter_map(Entry::read).take(room));
            }
        })
        .await?;
    entries.sort_by(|one, other| Order::default().compare(one, other));
    if entries.is_empty() {
        return Ok(Content::Words("empty".into()));
    }
    Ok(Content::Directory(entries))
}

/// What the beginning of a file is.
fn made(path: &[u8], data: &Bytes) -> Content {
    if data.is_empty() {
        return Content::Words("empty".into());
    }
    if let Some(image) = image(data) {
        return image;
    }
    let is_cut = data.len() as u64 >= MAX_READ;
    match text(data, is_cut) {
        Some(text) => Content::Text(syntax::lines(path, text), is_cut),
        None => Content::Bytes(data.slice(..data.len().min(MAX_BYTES))),
    }
}

fn image(data: &[u8]) -> Option<Content> {
    let kind = match imagesize::image_type(data).ok()? {
        imagesize::ImageType::Png => "PNG",
        imagesize::ImageType::Jpeg => "JPEG",
        imagesize::ImageType::Gif => "GIF",
        imagesize::ImageType::Webp => "WebP",
        _ => return None,
    };
    let size = imagesize::blob_size(data).ok()?;
    let number = |pixels: usize| u32::try_from(pixels).ok();
    Some(Content::Image(
        kind,
        number(size.width)?,
        number(size.height)?,
    ))
}

/// It as text, if it is; the last character may be cut in two.
fn text(data: &[u8], is_cut: bool) -> Option<&str> {
    if data.contains(&0) {
        return None;
    }
    match std::str::from_utf8(data) {
        Ok(text) => Some(text),
        Err(error) if is_cut && error.error_len().is_none() => {
            std::str::from_utf8(&data[..error.valid_up_to()]).ok()
        }
        Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(data: &'static [u8]) -> Content {
        made(b"/x", &Bytes::from_static(data))
    }

    #[test]
    fn a_file_is_shown_as_what_it_is() {
        let gif = b"GIF89a\x03\x00\x02\x00\x00\x00\x00;";
        assert_eq!(of(gif), Content::Image("GIF", 3, 2));
        assert!(matches!(of(b"plain\ntext\n"), Content::Text(lines, false) if lines.len() == 2));
        assert!(matches!(of(b"\x7fELF\0\0"), Content::Bytes(_)));
        assert!(matches!(of(b"latin \xe4 1"), Content::Bytes(_)));
        assert_eq!(of(b""), Content::Words("empty".into()));
        // Only the beginning of an image: no size of it is known.
        assert!(matches!(of(b"\x89PNG\r\n\x1a\n\0\0"), Content::Bytes(_)));
    }

    #[test]
    fn a_character_that_was_cut_in_two_does_not_make_it_binary() {
        assert_eq!(text(b"a\xc3", true), Some("a"));
        assert_eq!(text(b"a\xc3", false), None);
        assert_eq!(text(b"a\xff", true), None);
    }
}
