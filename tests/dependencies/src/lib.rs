//! What the reproductions share: vectors that are the same in each run, a server on loopback, and the memory of a process.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

/// Numbers that look random and are the same in each run (SplitMix64).
pub struct Noise(pub u64);

impl Noise {
    /// Returns the next number from -1 to 1.
    pub fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Returns a vector of length 1.
    pub fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        unit((0..dimensions).map(|_| self.next()).collect())
    }

    /// Returns a vector of length 1 near to another.
    pub fn near(&mut self, center: &[f32]) -> Vec<f32> {
        let spread = 1.0 / (center.len() as f32).sqrt();
        unit(center.iter().map(|value| value + spread * self.next()).collect())
    }
}

fn unit(vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / length).collect()
}

/// Returns the places of the `k` vectors nearest to a query, the nearest first. All vectors have length 1.
pub fn nearest(vectors: &[Vec<f32>], query: &[f32], k: usize) -> Vec<usize> {
    let dot = |vector: &[f32]| vector.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
    let mut all: Vec<(f32, usize)> = vectors.iter().enumerate().map(|(at, vector)| (dot(vector), at)).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    all.into_iter().take(k).map(|near| near.1).collect()
}

/// Returns the most memory that this process has held, in MiB. Linux only.
pub fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

/// Returns the processor time that all threads of this process have used, in seconds: on a busy machine it says more than
/// the time on the clock. Linux only, with the usual 100 ticks a second.
pub fn cpu_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program comes before, and may hold blanks.
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Answers requests on loopback, each on a connection of its own, with what `answer` writes for a request's text.
pub fn serve(mut answer: impl FnMut(String, &mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let request = read_request(&mut stream);
            answer(request, &mut stream);
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return text,
            Ok(count) => bytes.extend(&piece[..count]),
        }
    }
}

/// Writes an answer of JSON.
pub fn answer_json(stream: &mut TcpStream, status: &str, body: &str) {
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
    let _ = write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len());
}

/// Writes an answer of `mebibytes` MiB that is one text in JSON and never ends it. Returns how many bytes were taken.
pub fn answer_long(stream: &mut TcpStream, mebibytes: usize) -> usize {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\"";
    let _ = stream.write_all(head.as_bytes());
    let piece = vec![b'a'; 1 << 20];
    (0..mebibytes).take_while(|_| stream.write_all(&piece).is_ok()).count() << 20
}
