//! An answer, whole.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::Error;

/// The answer to a call, with its whole body.
#[derive(Clone, Debug)]
pub struct Response {
    pub(crate) host: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Itself, if the status says success.
    ///
    /// # Errors
    /// [`Error::Status`] for every status but 2xx.
    pub fn ok(self) -> Result<Self, Error> {
        if self.status.is_success() {
            return Ok(self);
        }
        Err(Error::Status { host: self.host, status: self.status })
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// [`Error::Status`] for every status but 2xx, [`Error::Json`] when the body is something else.
    pub fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let answer = self.ok()?;
        serde_json::from_slice(&answer.body).map_err(|source| Error::Json { host: answer.host, source })
    }
}
