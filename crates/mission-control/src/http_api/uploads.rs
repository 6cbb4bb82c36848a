//! Files of the pool: they are posted to an address with a secret, and fetched by their id.

use serde_json::json;

use super::{HttpApi, platform_error};
use crate::pool::{STORAGE_PATH, UPLOAD_PATH, UploadError};
use mcr_http::message::{Method, Reply, Request};

impl HttpApi {
    /// The refusal of an upload whose address is not valid, from its head alone, so that a stranger's body is not read. All other
    /// requests are decided by [`answer`](Self::answer).
    pub fn refusal_of_head(&self, request: &Request) -> Option<Reply> {
        if *request.method() != Method::Post || request.path() != UPLOAD_PATH {
            return None;
        }
        self.foreign(request).or_else(|| match self.engine.expects_upload(upload_secret(request)) {
            Ok(true) => None,
            Ok(false) => Some(not_stored(UploadError::NoAddress)),
            Err(why) => Some(not_stored(why.into())),
        })
    }

    /// Stores a file that is posted to an address of the pool.
    pub(super) fn upload(&self, request: &Request) -> Reply {
        let content_type = request.header("Content-Type").unwrap_or("application/octet-stream");
        match self.engine.take_upload(upload_secret(request), content_type, request.body()) {
            Ok(id) => Reply::json_of(&json!({"storageId": id})).no_store(),
            Err(why) => not_stored(why),
        }
    }

    /// A stored file, to everyone who knows its id. Browsers show nothing of it.
    pub(super) fn stored_file(&self, path: &str) -> Reply {
        let id = path.strip_prefix(STORAGE_PATH).unwrap_or_default();
        match self.engine.stored_file(id) {
            Ok(Some((content_type, content))) => Reply::whole(&content_type, content)
                .with_header("Content-Disposition", "attachment")
                .with_header("X-Content-Type-Options", "nosniff")
                .no_store(),
            Ok(None) => Reply::empty(404).no_store(),
            Err(why) => platform_error(500, "InternalServerError", &why.to_string()),
        }
    }
}

fn upload_secret(request: &Request) -> &str {
    request.query().and_then(|query| query.strip_prefix("secret=")).unwrap_or_default()
}

fn not_stored(why: UploadError) -> Reply {
    match why {
        UploadError::NoAddress => {
            platform_error(403, "InvalidUploadUrl", "The address was used or has expired: ask for a new one")
        }
        UploadError::Failed(why) => platform_error(500, "InternalServerError", &why),
    }
}
