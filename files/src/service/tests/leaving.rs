//! What takes long ends when the caller leaves.

use super::*;

/// A caller that leaves after having been asked for so many times whether it is still there.
struct Leaving {
    looks: std::cell::Cell<u32>,
    told: u32,
}

impl Caller for Leaving {
    fn tell(&mut self, _response: v1::FileResponse) -> bool {
        self.told += 1;
        true
    }

    fn is_gone(&self) -> bool {
        let left = self.looks.get();
        self.looks.set(left.saturating_sub(1));
        left == 0
    }
}

#[test]
fn what_takes_long_ends_when_its_caller_leaves() {
    let mut ground = ground();
    let top = ground.directory.path().join("top");
    for directory in ["a", "b/c"] {
        std::fs::create_dir_all(top.join(directory)).unwrap();
        for file in 0..20 {
            std::fs::write(top.join(directory).join(file.to_string()), "x").unwrap();
        }
    }
    let (path, to) = (Bytes::from_static(b"top"), Bytes::from_static(b"copy"));
    let copy = Ask::Copy(v1::FileCopy {
        from: path.clone(),
        to: to.clone(),
        recursive: true,
        ..v1::FileCopy::default()
    });
    let recursive = true;
    let remove = Ask::Remove(v1::FileRemove {
        path: path.clone(),
        recursive,
    });
    let search = Ask::Search(v1::FileSearch {
        path: path.clone(),
        content_regex: "nowhere".into(),
        ..v1::FileSearch::default()
    });
    for ask in [search, copy, remove] {
        let request = v1::FileRequest {
            id: 1,
            request: Some(ask),
        };
        let mut leaving = Leaving {
            looks: 10.into(),
            told: 0,
        };
        assert!(!ground.service.handle(request, &mut leaving));
        assert_eq!(leaving.told, 0);
    }
    let count = |name: &[u8]| {
        let name = String::from_utf8(name.to_vec()).unwrap();
        let mut left = vec![ground.directory.path().join(name)];
        let mut files = 0;
        while let Some(at) = left.pop() {
            for entry in std::fs::read_dir(at).unwrap().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    left.push(path);
                } else {
                    files += 1;
                }
            }
        }
        files
    };
    assert!((1..40).contains(&count(&to)), "{} were copied", count(&to));
    assert!((1..40).contains(&count(&path)), "{} are left", count(&path));
}
