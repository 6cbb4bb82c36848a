//! The exit codes of the program. They tell a supervisor whether a restart can help.

use std::process::ExitCode;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Done,
    /// Something failed.
    Failed,
    /// The command line is invalid.
    Misused,
    /// The configuration is invalid, or the backend has never accepted the token.
    Misconfigured,
    /// Another runtime works on the account; this was proven twice.
    Foreign,
}

impl Exit {
    /// All exit codes, as `--help` and the README list them.
    pub const ALL: [Self; 5] = [Self::Done, Self::Failed, Self::Misused, Self::Misconfigured, Self::Foreign];

    /// The number for the operating system.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Misused => 2,
            Self::Misconfigured => 3,
            Self::Foreign => 4,
        }
    }

    /// What the code means and what to do.
    pub fn explain(self) -> &'static str {
        match self {
            Self::Done => "Done, or stopped as asked",
            Self::Failed => {
                "Something failed: the port is taken, STATE_DIR is unsafe, the ledger is damaged, or doctor found \
                 something wrong; once that is fixed, try again"
            }
            Self::Misused => "The command line is invalid; trying again will not help",
            Self::Misconfigured => {
                "The configuration is invalid (each mistake was printed), or Mission Control has refused the service \
                 token for ten minutes; trying again will not help"
            }
            Self::Foreign => {
                "Another runtime works on the same account: it holds the lock, or was seen at work twice, minutes apart; stop one of the two, trying again will not help"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
