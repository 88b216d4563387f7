//! The TCP sockets of this machine that listen, as the kernel tells them by `sock_diag(7)`. For a text of them
//! (`/proc/net/tcp`), it would walk the tables of all connections, which takes milliseconds.

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send, socket_with,
};

/// `SOCK_DIAG_BY_FAMILY`.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP_FLAGS: u16 = 0x301;
/// `NLMSG_DONE`.
const NLMSG_DONE: u16 = 3;
const IPPROTO_TCP: u8 = 6;
/// The bit of `TCP_LISTEN`.
const TCPF_LISTEN: u32 = 1 << 10;

/// The length of `nlmsghdr`.
const NLMSGHDR_LEN: usize = 16;
/// The length of `nlmsghdr` and `inet_diag_req_v2`.
const REQUEST_LEN: usize = NLMSGHDR_LEN + 56;
/// Where the port is behind the header: `inet_diag_msg.id.idiag_sport`, in the network's order.
const SPORT_OFFSET: usize = NLMSGHDR_LEN + 4;
/// Where the inode is: `inet_diag_msg.idiag_inode`.
const INODE_OFFSET: usize = NLMSGHDR_LEN + 68;

/// Returns the port and the inode of each. `None` where the kernel doesn't tell.
pub(super) fn listening_sockets() -> Option<Vec<(u16, u64)>> {
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(SOCK_DIAG)).ok()?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; 32 << 10]);
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        send(&kernel, &request(family), SendFlags::empty()).ok()?;
        loop {
            // It has the answer ready, or none.
            let (read, _) = recv(&kernel, buffer.as_mut_slice(), RecvFlags::DONTWAIT).ok()?;
            if add(&buffer[..read], &mut found)? {
                break;
            }
        }
    }
    Some(found)
}

fn request(family: AddressFamily) -> [u8; REQUEST_LEN] {
    let mut request = [0; REQUEST_LEN];
    request[..4].copy_from_slice(&(REQUEST_LEN as u32).to_ne_bytes());
    request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    request[6..8].copy_from_slice(&DUMP_FLAGS.to_ne_bytes());
    request[NLMSGHDR_LEN] = family.as_raw() as u8;
    request[NLMSGHDR_LEN + 1] = IPPROTO_TCP;
    request[NLMSGHDR_LEN + 4..NLMSGHDR_LEN + 8].copy_from_slice(&TCPF_LISTEN.to_ne_bytes());
    request
}

/// Adds the sockets of an answer. Returns whether it is the last one; `None` for an error.
fn add(mut answer: &[u8], found: &mut Vec<(u16, u64)>) -> Option<bool> {
    loop {
        let length = usize::try_from(u32::from_ne_bytes(answer.get(..4)?.try_into().ok()?)).ok()?;
        let message = answer.get(..length)?;
        match u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?) {
            NLMSG_DONE => return Some(true),
            SOCK_DIAG_BY_FAMILY => {
                let port = u16::from_be_bytes(message.get(SPORT_OFFSET..SPORT_OFFSET + 2)?.try_into().ok()?);
                let inode = u32::from_ne_bytes(message.get(INODE_OFFSET..INODE_OFFSET + 4)?.try_into().ok()?);
                found.push((port, inode.into()));
            }
            _ => return None,
        }
        answer = answer.get(length.next_multiple_of(4)..).unwrap_or_default();
        if answer.is_empty() {
            return Some(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_any_bytes_is_read_or_refused() {
        let mut message = vec![0; NLMSGHDR_LEN + 72];
        let length = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&length.to_ne_bytes());
        message[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        message[SPORT_OFFSET..SPORT_OFFSET + 2].copy_from_slice(&8080_u16.to_be_bytes());
        message[INODE_OFFSET..INODE_OFFSET + 4].copy_from_slice(&4242_u32.to_ne_bytes());
        let mut found = Vec::new();
        assert_eq!(add(&[message.clone(), message.clone()].concat(), &mut found), Some(false));
        assert_eq!(found, [(8080, 4242); 2]);
        for cut in 1..message.len() {
            assert_eq!(add(&message[..cut], &mut Vec::new()), None);
        }
        // A length of nothing goes nowhere.
        assert_eq!(add(&[0; 64], &mut Vec::new()), None);
        message[4..6].copy_from_slice(&NLMSG_DONE.to_ne_bytes());
        assert_eq!(add(&message, &mut Vec::new()), Some(true));
    }

    #[test]
    fn the_kernel_tells_the_same_as_its_text() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let sixth =
            std::net::TcpListener::bind("[::1]:0").ok().map(|socket| (socket.local_addr().unwrap().port(), socket));
        let Some(all) = listening_sockets() else { return };
        assert!(all.iter().any(|(listens, _)| *listens == port));
        assert!(sixth.is_none_or(|(port, _)| all.iter().any(|(listens, _)| *listens == port)));
    }
}
