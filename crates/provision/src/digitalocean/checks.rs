//! What is checked before anything is created: the request, the account, its limit, region, size, image and keys.

use mcr_model::secret::Secret;

use super::messages::{AccountAnswer, CountAnswer, KeyRow, RegionRow, SizeRow};
use super::{DigitalOcean, failure};
use crate::transport::segment;
use crate::{MachineSize, NewMachine, ProviderError, Quote, StartData};

/// The largest user data that the API takes.
pub const USER_DATA_BYTES_MAX: usize = 64 * 1024;

/// The longest name of a droplet.
const NAME_CHARS_MAX: usize = 255;

/// The size and the user data of a request that can be sent.
pub(super) fn check_request<'a>(
    what: &str,
    wanted: &'a NewMachine,
) -> Result<(&'a str, &'a Secret), ProviderError> {
    let refused = |why: String| Err(failure::refused(format!("{what}: {why}")));
    let name = &wanted.name;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    let ends_well = name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if name.len() > NAME_CHARS_MAX || !ends_well || !name.chars().all(is_plain) {
        return refused(
            "its name needs letters, digits, full stops and hyphens, and a letter or digit last".to_owned(),
        );
    }
    let MachineSize::Listed(size) = &wanted.size else {
        return refused("a droplet needs a size of the price list, such as s-1vcpu-2gb".to_owned());
    };
    let StartData::UserData(user_data) = &wanted.start else {
        return refused("a droplet takes user data instead of an environment".to_owned());
    };
    let bytes = user_data.expose().len();
    if bytes > USER_DATA_BYTES_MAX {
        return refused(format!(
            "its user data has {bytes} bytes, {USER_DATA_BYTES_MAX} are allowed; shorten the template"
        ));
    }
    Ok((size, user_data))
}

impl DigitalOcean {
    /// Everything that can be checked without creating something. What the token may not see is not checked.
    pub(super) fn check_account(&self, wanted: &NewMachine) -> Result<Quote, ProviderError> {
        let what = format!("Machine {} cannot be created", wanted.name);
        let (size, _) = check_request(&what, wanted)?;
        self.account_tag(wanted)?;
        let refused = |why: String| Err(failure::refused(format!("{what}: {why}")));
        let account: Option<AccountAnswer> =
            self.calls.read(&format!("{what}: the account cannot be read"), "/v2/account")?;
        let account = account.map(|answer| answer.account);
        if let Some(account) = account.as_ref().filter(|account| account.status == "locked") {
            let why = if account.status_message.is_empty() {
                "it names no reason"
            } else {
                &account.status_message
            };
            return refused(format!("DigitalOcean has locked the account ({why}); ask its support"));
        }
        let machines_left = match account.and_then(|account| account.droplet_limit) {
            Some(limit) => {
                let counted: Option<CountAnswer> = self.calls.read(
                    &format!("{what}: the droplets cannot be counted"),
                    "/v2/droplets?per_page=1&page=1",
                )?;
                counted.and_then(|answer| answer.meta.total).map(|total| limit.saturating_sub(total))
            }
            None => None,
        };
        if machines_left == Some(0) && self.existing(wanted)?.is_none() {
            return refused(
                "the account's droplet limit is reached: destroy a machine, or ask DigitalOcean for a higher limit".to_owned(),
            );
        }
        self.check_region(&what, wanted, size)?;
        let monthly_usd = self.price(&what, wanted, size)?;
        self.check_image(&what, wanted)?;
        self.check_keys(&what)?;
        Ok(Quote { monthly_usd, machines_left })
    }

    fn check_region(&self, what: &str, wanted: &NewMachine, size: &str) -> Result<(), ProviderError> {
        let refused = |why: String| Err(failure::refused(format!("{what}: {why}")));
        let regions: Vec<RegionRow> = self.calls.rows(
            &format!("{what}: the regions cannot be read"),
            ("/v2/regions", ""),
            "regions",
        )?;
        let Some(region) = regions.iter().find(|region| region.slug == wanted.region) else {
            let known: Vec<&str> = regions.iter().map(|region| region.slug.as_str()).collect();
            let (region, known) = (&wanted.region, known.join(", "));
            return refused(format!("there is no region {region}; set PROVISION_REGION to one of {known}"));
        };
        if region.available == Some(false) {
            let region = &wanted.region;
            return refused(format!(
                "the region {region} takes no new machines now; set another PROVISION_REGION"
            ));
        }
        let has_size = |region: &RegionRow| {
            region.sizes.as_ref().is_none_or(|sizes| sizes.iter().any(|offered| offered == size))
        };
        if !has_size(region) {
            let others: Vec<&str> = regions
                .iter()
                .filter(|region| region.available != Some(false) && has_size(region))
                .map(|region| region.slug.as_str())
                .collect();
            let (region, others) = (&wanted.region, others.join(", "));
            return refused(format!(
                "the region {region} does not offer the size {size}; set another PROVISION_SIZE, or PROVISION_REGION to one of {others}"
            ));
        }
        Ok(())
    }

    /// The monthly price of a size.
    fn price(&self, what: &str, wanted: &NewMachine, size: &str) -> Result<Option<String>, ProviderError> {
        let refused = |why: String| Err(failure::refused(format!("{what}: {why}")));
        let sizes: Vec<SizeRow> =
            self.calls.rows(&format!("{what}: the sizes cannot be read"), ("/v2/sizes", ""), "sizes")?;
        let Some(row) = sizes.iter().find(|row| row.slug == size) else {
            return refused(format!(
                "there is no size {size}; set PROVISION_SIZE to one of DigitalOcean's list, such as s-1vcpu-2gb"
            ));
        };
        let is_elsewhere = row.regions.as_ref().is_some_and(|regions| !regions.contains(&wanted.region));
        if row.available == Some(false) || is_elsewhere {
            let region = &wanted.region;
            return refused(format!(
                "the size {size} is not available in {region} now; set another PROVISION_SIZE or PROVISION_REGION"
            ));
        }
        // The API's numbers have noise, such as 11.999999.
        Ok(row.price_monthly.map(|price| format!("{price:.2}")))
    }

    fn check_image(&self, what: &str, wanted: &NewMachine) -> Result<(), ProviderError> {
        let image = &wanted.image;
        let path = format!("/v2/images/{}", segment(image));
        match self.calls.repeat(&format!("{what}: the image {image} cannot be read"), crate::Verb::Get, &path)
        {
            // A token may not be allowed to see images. The creation then shows whether it exists.
            Err(error) if error.status == Some(403) => Ok(()),
            Err(error) if error.is_gone() => Err(failure::refused(format!(
                "{what}: there is no image {image}; set PROVISION_IMAGE to a distribution such as debian-12-x64"
            ))),
            Err(error) => Err(error),
            Ok(_) => Ok(()),
        }
    }

    fn check_keys(&self, what: &str) -> Result<(), ProviderError> {
        if self.ssh_keys.is_empty() {
            return Err(failure::refused(format!(
                "{what}: no SSH key is named, so nobody could log in; set PROVISION_SSH_KEYS to ids or fingerprints of the account's keys"
            )));
        }
        let keys: Vec<KeyRow> = self.calls.rows(
            &format!("{what}: the SSH keys cannot be read"),
            ("/v2/account/keys", ""),
            "ssh_keys",
        )?;
        let unknown = self.ssh_keys.iter().find(|wanted| {
            !keys.iter().any(|key| key.fingerprint == **wanted || key.id.to_string() == **wanted)
        });
        match unknown {
            Some(key) => Err(failure::refused(format!(
                "{what}: the account has no SSH key {key}; add it at DigitalOcean, or correct PROVISION_SSH_KEYS"
            ))),
            None => Ok(()),
        }
    }
}
