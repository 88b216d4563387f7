//! What macOS's kernel returns as mere bytes: how a process was started (`KERN_PROCARGS2` of `sysctl`), and its sockets.
//! Nothing here asks the kernel, so that it is tested on Linux, too.

/// How a process was started, in the form of Linux's `/proc/PID/cmdline` and `environ`: each word ended by a NUL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ProcessArguments<'a> {
    pub command_line: &'a [u8],
    /// Empty also where the system keeps them back, as for its own programs.
    pub variables: &'a [u8],
}

/// Finds the arguments and variables in what the kernel returns: the number of arguments, the path of the executable,
/// NULs up to the next multiple of 8, the arguments, the variables, and words of the loader after an empty one. An empty
/// argument in the first place can't be told from the NULs before it.
pub(super) fn parse(bytes: &[u8]) -> Option<ProcessArguments<'_>> {
    let (count, rest) = bytes.split_first_chunk()?;
    let count = usize::try_from(i32::from_ne_bytes(*count)).ok()?;
    let path = length(rest, 1)?;
    let nuls = rest[path..].iter().take_while(|byte| **byte == 0).count();
    let rest = &rest[path + nuls..];
    let (command_line, rest) = rest.split_at(length(rest, count)?);
    let end = match rest.first() {
        Some(0) | None => 0,
        Some(_) => rest.windows(2).position(|pair| pair == [0, 0]).map_or(rest.len(), |at| at + 1),
    };
    Some(ProcessArguments { command_line, variables: &rest[..end] })
}

/// Returns how many bytes this many words take, with the NULs that end them.
fn length(bytes: &[u8], words: usize) -> Option<usize> {
    let Some(before) = words.checked_sub(1) else { return Some(0) };
    bytes.iter().enumerate().filter(|(_, byte)| **byte == 0).nth(before).map(|(at, _)| at + 1)
}

/// The size of a `socket_fdinfo` in `sys/proc_info.h`.
pub(super) const SOCKET_SIZE: usize = 792;
/// Where its `soi_kind` is.
const SOI_KIND_OFFSET: usize = 256;
/// Where its `insi_lport` is.
const INSI_LPORT_OFFSET: usize = 268;
/// Where its `tcpsi_state` is.
const TCPSI_STATE_OFFSET: usize = 344;

/// Returns the port of a TCP socket that listens, from a `socket_fdinfo`.
pub(super) fn listening_port(info: &[u8]) -> Option<u16> {
    const TCP: [u8; 4] = 2_i32.to_ne_bytes();
    const TSI_S_LISTEN: [u8; 4] = 1_i32.to_ne_bytes();
    let number = |at: usize| info.get(at..)?.first_chunk::<4>();
    let is_it = *number(SOI_KIND_OFFSET)? == TCP && *number(TCPSI_STATE_OFFSET)? == TSI_S_LISTEN;
    // The first two bytes of an `int` hold it in the network's order.
    let [high, low, ..] = number(INSI_LPORT_OFFSET)?;
    is_it.then_some(u16::from_be_bytes([*high, *low]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(count: i32, rest: &[u8]) -> Vec<u8> {
        [&count.to_ne_bytes(), rest].concat()
    }

    #[test]
    fn arguments_and_variables_are_told_apart() {
        for (count, rest, command_line, variables) in [
            (2, &b"/bin/aiw\0\0\0\0aiw\0shim\0A=b c\0B=\0\0ptr_munge=\0"[..], &b"aiw\0shim\0"[..], &b"A=b c\0B=\0"[..]),
            // An argument may be empty, and there may be no variable.
            (3, b"/a\0a\0\0c\0\0ptr_munge=\0", b"a\0\0c\0", b""),
            (1, b"/a\0a\0", b"a\0", b""),
            (1, b"/a\0a\0A=1\0", b"a\0", b"A=1\0"),
            (0, b"/a\0\0A=1\0\0", b"", b"A=1\0"),
        ] {
            let bytes = encoded(count, rest);
            assert_eq!(parse(&bytes), Some(ProcessArguments { command_line, variables }), "{rest:?}");
        }
        for (count, rest) in [(-1, &b"/a\0a\0"[..]), (2, b"/a\0a\0"), (1, b"/a"), (i32::MAX, b"/a\0a\0")] {
            assert_eq!(parse(&encoded(count, rest)), None, "{count} {rest:?}");
        }
        assert_eq!(parse(b"\x01"), None);
    }

    #[test]
    fn only_tcp_sockets_that_listen_have_a_port() {
        let socket = |kind: u8, state: u8| {
            let mut info = vec![0; SOCKET_SIZE];
            (info[SOI_KIND_OFFSET], info[TCPSI_STATE_OFFSET]) = (kind, state);
            info[INSI_LPORT_OFFSET..INSI_LPORT_OFFSET + 4].copy_from_slice(&[0x1f, 0x90, 0, 0]);
            info
        };
        assert_eq!(listening_port(&socket(2, 1)), Some(8080));
        // A connection, and a socket of UDP.
        assert_eq!((listening_port(&socket(2, 4)), listening_port(&socket(1, 1))), (None, None));
        assert_eq!(listening_port(&socket(2, 1)[..300]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(count in any::<i32>(), rest in prop::collection::vec(0u8..3, 0..40)) {
            parse(&encoded(count, &rest));
            parse(&encoded(count.rem_euclid(5), &rest));
        }
    }
}
