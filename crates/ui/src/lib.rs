//! The web UI, embedded: the files that `npm run build` in `ui/` wrote to `assets/`, inside the binary.
//! ```text
//! assets/index.html            the one page, whatever the address     etag, always asked for again
//! assets/assets/NAME-HASH.js   scripts, styles, pictures              immutable: the name holds the content's hash
//! assets/sources.sha256        hash of ui/'s sources: `node ui/scripts/check-built.mjs` says if these files are stale
//! ```
//! - Building this crate needs neither node nor network: the built files are committed.
//! - It knows nothing of HTTP. The caller serves `index()` for pages (a GET that accepts HTML, outside the
//!   API's paths) and `asset(path)` for everything else, and answers 404 when that is `None`.

use std::borrow::Cow;

use rust_embed::RustEmbed;

/// Built files whose name holds a hash of their content live here.
const HASHED_FOLDER: &str = "assets/";

/// What a server of these pages should send as `Content-Security-Policy`. Styles may be inline because the
/// chart library places its parts with them; scripts may not.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'; form-action 'self'";

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

/// One embedded file and what its HTTP answer needs.
#[derive(Clone, Debug)]
pub struct Asset {
    /// The file's bytes, not compressed.
    pub bytes: Cow<'static, [u8]>,
    /// Value of `Content-Type`.
    pub content_type: &'static str,
    /// Value of `ETag`, with its quotes.
    pub etag: String,
    /// True when the content of this path never changes, so that it may be cached for ever.
    pub immutable: bool,
}

/// Finds the file at `path`, relative to the UI's root; one leading `/` is ignored. `None` = no such file.
pub fn asset(path: &str) -> Option<Asset> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let file = Files::get(path)?;
    Some(Asset {
        bytes: file.data,
        content_type: content_type(path),
        etag: etag(&file.metadata.sha256_hash()),
        immutable: path.starts_with(HASHED_FOLDER),
    })
}

/// The page of every address of the UI.
///
/// # Panics
/// Never in a binary that was built: the tests of this crate prove that `index.html` is embedded.
pub fn index() -> Asset {
    asset("index.html").expect("BUG: index.html is not among the embedded files")
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Half of the content's SHA-256 in hex: 128 bits tell two builds apart.
fn etag(sha256: &[u8; 32]) -> String {
    let hex: String = sha256.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("\"{hex}\"")
}

#[cfg(test)]
mod tests;
