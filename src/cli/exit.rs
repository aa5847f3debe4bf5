//! Exit codes of the program, after BSD `sysexits(3)`.

use std::io;
use std::process::ExitCode;

use tonic::Code;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Ok,
    /// 64: the command line is wrong.
    Usage,
    /// 65: the data are wrong: refused input, damaged store, findings of a check, a position beyond the head.
    Data,
    /// 66: what was named is not there: an input file, an event, a store.
    NoInput,
    /// 69: the server cannot be reached, or takes no calls.
    Unavailable,
    /// 70: the program or the server failed in a way that should not happen.
    Internal,
    /// 73: an output cannot be made.
    CannotCreate,
    /// 74: reading or writing failed.
    Io,
    /// 75: the same may succeed later, or after reading again.
    Temporary,
    /// 76: the server does not speak this API.
    Protocol,
    /// 77: not allowed.
    Permission,
    /// 78: the configuration is wrong.
    Config,
}

impl Exit {
    /// Gives the number that the shell sees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Usage => 64,
            Self::Data => 65,
            Self::NoInput => 66,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::CannotCreate => 73,
            Self::Io => 74,
            Self::Temporary => 75,
            Self::Protocol => 76,
            Self::Permission => 77,
            Self::Config => 78,
        }
    }

    /// Chooses the exit for a gRPC code.
    ///
    /// NOT_FOUND is 66, as for a file that is not there. ALREADY_EXISTS and FAILED_PRECONDITION are 65: the
    /// request contradicts what is recorded, and repeating it does not help.
    #[must_use]
    pub const fn of_code(code: Code) -> Self {
        match code {
            Code::Ok => Self::Ok,
            Code::InvalidArgument
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::DataLoss => Self::Data,
            Code::NotFound => Self::NoInput,
            Code::Unavailable => Self::Unavailable,
            Code::Unknown | Code::Internal => Self::Internal,
            Code::Cancelled | Code::DeadlineExceeded | Code::Aborted | Code::ResourceExhausted => {
                Self::Temporary
            }
            Code::Unimplemented => Self::Protocol,
            Code::PermissionDenied | Code::Unauthenticated => Self::Permission,
        }
    }

    /// Chooses the exit for an input that cannot be opened.
    #[must_use]
    pub fn of_input(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::PermissionDenied { Self::Permission } else { Self::NoInput }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_map_to_sysexits() {
        fn check(code: Code, expected: u8) {
            assert_eq!(Exit::of_code(code).number(), expected, "{code:?}");
        }
        check(Code::Ok, 0);
        check(Code::InvalidArgument, 65);
        check(Code::DataLoss, 65);
        check(Code::AlreadyExists, 65);
        check(Code::FailedPrecondition, 65);
        check(Code::OutOfRange, 65);
        check(Code::NotFound, 66);
        check(Code::Unavailable, 69);
        check(Code::Internal, 70);
        check(Code::Unknown, 70);
        check(Code::Aborted, 75);
        check(Code::ResourceExhausted, 75);
        check(Code::DeadlineExceeded, 75);
        check(Code::Cancelled, 75);
        check(Code::Unimplemented, 76);
        check(Code::PermissionDenied, 77);
        check(Code::Unauthenticated, 77);
    }

    #[test]
    fn inputs_that_cannot_be_opened() {
        assert_eq!(Exit::of_input(&io::ErrorKind::NotFound.into()), Exit::NoInput);
        assert_eq!(Exit::of_input(&io::ErrorKind::PermissionDenied.into()), Exit::Permission);
    }
}
