//! The address of a gateway and its token.

use std::path::Path;

use crate::app::load::read_text;
use mcr_model::BaseUrl;
use mcr_model::random;
use mcr_model::secret::Secret;

/// The variable with the token of a real gateway. An argument would show the token to every user of the machine.
const TOKEN: &str = "OPENCLAW_GATEWAY_TOKEN";

/// The longest file with a token.
const TOKEN_BYTES_MAX: u64 = 64 * 1024;

/// The address of a gateway and its token.
pub(in crate::app) struct GatewayAccess {
    pub(in crate::app) url: String,
    pub(in crate::app) token: Secret,
}

impl GatewayAccess {
    /// A token for the scripted gateway, which is not listening yet.
    pub(in crate::app) fn scripted() -> Self {
        Self { url: String::new(), token: Secret::new(random::hex::<16>()) }
    }

    /// A real gateway, with the token of this file or of the environment. `option` names the file.
    pub(in crate::app) fn real(
        url: &BaseUrl,
        token_file: Option<&Path>,
        option: &str,
    ) -> Result<Self, String> {
        let token = match token_file {
            Some(file) => {
                let read = read_text(file, TOKEN_BYTES_MAX);
                read.map_err(|why| format!("the file {} of {option} cannot be read: {why}", file.display()))?
                    .0
            }
            None => std::env::var(TOKEN).unwrap_or_default(),
        };
        let token = token.trim();
        if token.is_empty() {
            return Err(format!(
                "--gateway needs the gateway's token. Set {TOKEN}, or name a file that contains it with {option} FILE"
            ));
        }
        if !token.chars().all(|c| c.is_ascii_graphic()) {
            return Err(
                "the gateway's token contains blanks, line ends or other characters that no token has"
                    .to_owned(),
            );
        }
        Ok(Self { url: url.to_string(), token: Secret::new(token) })
    }
}
