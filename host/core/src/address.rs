//! Which addresses belong to the public internet, and which to this machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Whether an address belongs to the public internet. Everything else (this machine, its networks, cloud metadata,
/// carriers' inner networks, multicast, documentation) needs a grant, whatever IPv6 form it takes.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    !matches!(
        (a, b, c, d),
        (0 | 10 | 127, ..)
            | (100, 64..=127, ..)
            | (169, 254, ..)
            | (172, 16..=31, ..)
            // Protocol assignments, documentation, and the 6to4 relays.
            | (192, 0, 0 | 2, _)
            | (192, 88, 99, _)
            | (192, 168, ..)
            // Benchmarks, and more documentation.
            | (198, 18..=19, ..)
            | (198, 51, 100, _)
            | (203, 0, 113, _)
            // Azure's metadata and DNS have a public address that only a guest can reach.
            | (168, 63, 129, 16)
            // Multicast, reserved, broadcast.
            | (224..=255, ..)
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => embedded(high, low),
        // NAT64: how a network without IPv4 reaches IPv4 addresses.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, ORCHID and other assignments; documentation, twice.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast is 2000::/3; nothing else is routed.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

/// Whether a URL, as written, leads to this machine: by a loopback address, `localhost`, or a name below that.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a URL, as written, leads to this machine or into a network that is not the public internet: by such an address
/// in any form, or by a name that public DNS does not have.
pub fn is_internal(url: &Url) -> bool {
    const LOCAL_HOST_SUFFIXES: [&str; 10] = [
        ".localhost",
        ".local",
        ".localdomain",
        ".internal",
        ".intranet",
        ".lan",
        ".home",
        ".corp",
        ".private",
        ".home.arpa",
    ];
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            !name.contains('.') || LOCAL_HOST_SUFFIXES.iter().any(|ending| name.ends_with(ending))
        }
        Some(Host::Ipv4(address)) => !is_public_v4(address),
        Some(Host::Ipv6(address)) => !is_public_v6(address),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_names_and_addresses() {
        for url in ["http://localhost", "https://LOCALHOST:8/x", "http://a.localhost", "http://127.1", "http://[::1]:1"]
        {
            assert!(is_loopback(&url.parse().unwrap()), "{url}");
        }
        for url in ["http://localhost.example", "http://notlocalhost", "http://10.0.0.1", "http://[::2]", "data:,x"] {
            assert!(!is_loopback(&url.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn an_address_inside_is_known_however_it_is_written() {
        for url in [
            "https://10.0.0.1",
            "https://0x0a000001/",
            "https://012.0.0.1",
            "https://167772161",
            "https://10.1",
            "https://169.254.169.254/latest",
            "https://0xa9.0xfe.0xa9.0xfe",
            "https://[::ffff:192.168.1.1]",
            "https://[fe80::1]",
            "https://[fd00:ec2::254]",
            "https://[64:ff9b::a9fe:a9fe]",
            "https://router",
            "https://ROUTER.",
            "https://nas.local",
            "https://nas.LOCAL.",
            "https://metadata.google.internal",
            "https://a.localhost",
        ] {
            assert!(is_internal(&url.parse().unwrap()), "{url}");
        }
        for url in ["https://example.com", "https://1.1.1.1", "https://internal.example.com", "https://[2606:50c0::1]"]
        {
            assert!(!is_internal(&url.parse().unwrap()), "{url}");
        }
    }

    #[test]
    fn inner_addresses_are_not_public_in_any_form() {
        for inner in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.8.8.8",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:c0a8:101::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(inner.parse().unwrap()), "{inner}");
        }
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "100.128.0.1",
            "140.82.121.3",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.1",
            "2606:50c0:8000::153",
            "2a00:1450:4001::1",
            "64:ff9b::8c52:7903",
            "::ffff:140.82.121.3",
            "2002:8c52:7903::1",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }
}
