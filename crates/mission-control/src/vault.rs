//! The vault: seals providers' keys with a master key that is not in the database.
//!
//! AES-256-GCM with a random nonce for each value. The account and the provider are sealed along as associated data,
//! so a ciphertext that is copied to another row does not open there. A short digest of the master key is stored with each
//! value, so that the error for a wrong key differs from the error for a damaged value.

use std::fmt::{self, Write as _};

use base64::engine::general_purpose::{GeneralPurpose, PAD};
use base64::{Engine as _, alphabet};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;

use mcr_model::secret::Secret;

/// The length of a master key.
const KEY_BYTES: usize = 32;
/// The length of its id, a part of its digest.
const ID_BYTES: usize = 8;
/// Standard base64. The last letter of a key has two bits without meaning: a key made up by hand may set them.
const KEY_ENCODING: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

/// A master key: 32 bytes.
#[derive(Clone)]
pub struct MasterKey([u8; KEY_BYTES]);

impl MasterKey {
    /// A new random key.
    pub fn random() -> Result<Self, VaultError> {
        random().map(Self)
    }

    /// From base64, as in `SECRETS_MASTER_KEY_BASE64`. Surrounding blanks are ignored.
    pub fn from_base64(text: &str) -> Result<Self, VaultError> {
        let bytes = KEY_ENCODING.decode(text.trim()).map_err(|_| VaultError::NoBase64)?;
        let count = bytes.len();
        bytes.try_into().map(Self).map_err(|_| VaultError::WrongLength(count))
    }

    /// From a file: 32 raw bytes, or base64.
    pub fn from_file(content: &[u8]) -> Result<Self, VaultError> {
        if let Ok(raw) = content.try_into() {
            return Ok(Self(raw));
        }
        let text = std::str::from_utf8(content).map_err(|_| VaultError::WrongLength(content.len()))?;
        Self::from_base64(text)
    }

    /// As base64, for its file or its variable.
    pub fn to_base64(&self) -> Secret {
        Secret::new(KEY_ENCODING.encode(self.0))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(***)")
    }
}

/// Why a value could not be sealed or opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultError {
    /// There is no master key.
    Missing,
    /// The master key is not base64.
    NoBase64,
    /// The master key has this many bytes.
    WrongLength(usize),
    /// Another master key sealed the value.
    WrongKey {
        /// The key that sealed it.
        sealed_with: String,
        /// The key that we have.
        have: String,
    },
    /// It was sealed for another account or provider, or was changed afterwards.
    NotForThis,
    /// It does not have the form of a sealed value.
    Damaged,
    /// The operating system provides no random numbers.
    NoRandomness(String),
}

impl fmt::Display for VaultError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "there is no master key, so provider keys can neither be stored nor read; set \
                 SECRETS_MASTER_KEY_BASE64 or start with a data directory",
            ),
            Self::NoBase64 => f.write_str(
                "the master key is not base64; it must be 32 bytes in base64, as `openssl rand -base64 32` makes them",
            ),
            Self::WrongLength(bytes) => write!(
                f,
                "the master key has {bytes} bytes; it must have 32, as `openssl rand -base64 32` makes them"
            ),
            Self::WrongKey { sealed_with, have } => write!(
                f,
                "the provider keys are sealed with master key {sealed_with}, but this one is {have}; give the key that \
                 sealed them"
            ),
            Self::NotForThis => f.write_str(
                "a stored provider key was sealed for another account or provider, or was changed; store it again",
            ),
            Self::Damaged => f.write_str("a stored provider key is damaged; store it again"),
            Self::NoRandomness(why) => write!(f, "the operating system provides no random numbers ({why})"),
        }
    }
}

impl std::error::Error for VaultError {}

/// A sealed value, safe to store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The id of the master key that sealed it.
    pub key_id: String,
    /// The nonce, in hex.
    pub nonce: String,
    /// The ciphertext with its tag, in hex.
    pub ciphertext: String,
}

/// The context in which a value is sealed.
#[derive(Clone, Copy, Debug)]
pub struct SealContext<'a> {
    /// The account's id.
    pub account: &'a str,
    /// The provider.
    pub provider: &'a str,
}

impl SealContext<'_> {
    /// The length precedes the texts, so that no two contexts have equal bytes.
    fn associated(self) -> Aad<Vec<u8>> {
        let Self { account, provider } = self;
        Aad::from(format!("provider key\n{}\n{account}\n{provider}", account.len()).into_bytes())
    }
}

/// Seals and opens with one master key.
pub struct Vault {
    key: LessSafeKey,
    id: String,
}

impl Vault {
    /// With this master key.
    pub fn new(master: &MasterKey) -> Self {
        // The algorithm needs 32 bytes, and a master key has no other length.
        let key = UnboundKey::new(&AES_256_GCM, &master.0).unwrap_or_else(|_| unreachable!("32 bytes"));
        let digest =
            digest::digest(&digest::SHA256, &[b"mission-control master key\n", &master.0[..]].concat());
        Self { key: LessSafeKey::new(key), id: hex(&digest.as_ref()[..ID_BYTES]) }
    }

    /// The id of its master key, which reveals nothing about the key.
    pub fn key_id(&self) -> &str {
        &self.id
    }

    /// Seals a value with a new nonce.
    pub fn seal(&self, place: SealContext<'_>, value: &Secret) -> Result<Sealed, VaultError> {
        let nonce: [u8; NONCE_LEN] = random()?;
        let mut bytes = value.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), place.associated(), &mut bytes)
            .map_err(|_| VaultError::Damaged)?;
        Ok(Sealed { key_id: self.id.clone(), nonce: hex(&nonce), ciphertext: hex(&bytes) })
    }

    /// Opens a value that was sealed with this key in this context.
    pub fn open(&self, place: SealContext<'_>, sealed: &Sealed) -> Result<Secret, VaultError> {
        self.check(&sealed.key_id)?;
        let nonce =
            unhex(&sealed.nonce).and_then(|bytes| bytes.try_into().ok()).ok_or(VaultError::Damaged)?;
        let mut bytes = unhex(&sealed.ciphertext).ok_or(VaultError::Damaged)?;
        if bytes.len() < AES_256_GCM.tag_len() {
            return Err(VaultError::Damaged);
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, place.associated(), &mut bytes);
        let opened = opened.map_err(|_| VaultError::NotForThis)?;
        let text = std::str::from_utf8(opened).map_err(|_| VaultError::Damaged)?;
        Ok(Secret::new(text))
    }

    /// Seals a value again with the vault that replaces this one.
    pub fn rotate(&self, next: &Self, place: SealContext<'_>, sealed: &Sealed) -> Result<Sealed, VaultError> {
        next.seal(place, &self.open(place, sealed)?)
    }

    /// Fails if another master key sealed the value.
    pub fn check(&self, sealed_with: &str) -> Result<(), VaultError> {
        if sealed_with == self.id {
            return Ok(());
        }
        Err(VaultError::WrongKey { sealed_with: sealed_with.to_owned(), have: self.id.clone() })
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Vault({})", self.id)
    }
}

/// Random bytes that cannot be guessed.
pub(super) fn random<const N: usize>() -> Result<[u8; N], VaultError> {
    let mut bytes = [0_u8; N];
    getrandom::getrandom(&mut bytes).map_err(|why| VaultError::NoRandomness(why.to_string()))?;
    Ok(bytes)
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u32> = text.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs.map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect()
}
