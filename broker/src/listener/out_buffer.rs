//! Encoded responses on their way out: record bytes are sent from where they lie, in memory with vectored writes, in a
//! file by the kernel.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
};

use bytes::{Buf, Bytes};
use riverrun_core::{
    log::FileSpan,
    protocol::{Frame, FramePart},
};
use tokio::io::AsyncWriteExt;

use super::{sendfile, stream::Stream};

/// Parts of one vectored write.
const SLICES_MAX: usize = 64;
/// Bytes of a file that are sent before others have their turn.
const FILE_TURN_BYTES: usize = 1 << 20;

/// Parts in the order in which they leave. Invariant: none is empty.
#[derive(Debug, Default)]
pub(super) struct OutBuffer {
    parts: VecDeque<Part>,
    memory_bytes: usize,
    file_bytes: usize,
}

#[derive(Debug)]
enum Part {
    Bytes(Bytes),
    /// A span of a file, and how much of it has been sent.
    File(FileSpan, usize),
}

impl OutBuffer {
    /// Adds a frame at the end.
    pub(super) fn push(&mut self, frame: Frame) {
        frame.into_segments().into_iter().for_each(|segment| self.push_bytes(segment));
    }

    /// Adds a frame at the end, with the content of its byte fields that are in files.
    pub(super) fn push_apart(&mut self, parts: Vec<FramePart>, files: &[Option<FileSpan>]) {
        for part in parts {
            match part {
                FramePart::Bytes(bytes) => self.push_bytes(bytes),
                FramePart::Apart(field) => {
                    if let Some(Some(span)) = files.get(field) {
                        self.file_bytes += span.size_in_bytes();
                        self.parts.push_back(Part::File(span.clone(), 0));
                    }
                }
            }
        }
    }

    /// Adds a SASL token that travels without a header: its length and itself.
    pub(super) fn push_bare(&mut self, token: &Bytes) {
        let length = u32::try_from(token.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.push_bytes(Bytes::copy_from_slice(&length));
        self.push_bytes(token.clone());
    }

    fn push_bytes(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.memory_bytes += bytes.len();
            self.parts.push_back(Part::Bytes(bytes));
        }
    }

    /// Whether there is nothing to send.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Bytes to be sent.
    pub(super) fn remaining(&self) -> usize {
        self.memory_bytes + self.file_bytes
    }

    /// Those of them that are in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Sends what the socket takes, and at most what one turn allows. Returns how much that was.
    ///
    /// # Cancel safety
    /// Nothing is lost: bytes count as sent as soon as the socket has them.
    pub(super) async fn write_some(&mut self, stream: &mut Stream) -> io::Result<usize> {
        let is_alone = self.parts.len() == 1;
        let before_file = matches!(self.parts.get(1), Some(Part::File(..)));
        match self.parts.front_mut() {
            None => Ok(0),
            Some(Part::File(span, sent)) => {
                let written = sendfile::send(stream, span, *sent, FILE_TURN_BYTES).await?;
                *sent += written;
                let (is_done, has_more) = (*sent >= span.size_in_bytes(), written >= FILE_TURN_BYTES);
                self.file_bytes -= written;
                if is_done {
                    self.parts.pop_front();
                } else if has_more {
                    tokio::task::yield_now().await;
                }
                Ok(written)
            }
            // What a file follows must not go out alone, in a packet of its own.
            Some(Part::Bytes(bytes)) if before_file => {
                let written = sendfile::send_before_file(stream, bytes).await?;
                self.advance(written);
                Ok(written)
            }
            // One answer, as a client gets that waits for each: a plain write is the cheaper call.
            Some(Part::Bytes(bytes)) if is_alone => {
                let written = stream.write(bytes).await?;
                self.advance(written);
                Ok(written)
            }
            Some(Part::Bytes(_)) => {
                let mut slices = [IoSlice::new(&[]); SLICES_MAX];
                let mut count = 0;
                for (slice, part) in slices.iter_mut().zip(&self.parts) {
                    let Part::Bytes(bytes) = part else { break };
                    *slice = IoSlice::new(bytes);
                    count += 1;
                }
                let written = stream.write_vectored(slices.get(..count).unwrap_or_default()).await?;
                self.advance(written);
                Ok(written)
            }
        }
    }

    /// Takes bytes that were sent off the front; none of them is in a file.
    fn advance(&mut self, mut count: usize) {
        self.memory_bytes -= count;
        while let Some(Part::Bytes(front)) = self.parts.front_mut() {
            if count < front.len() {
                front.advance(count);
                break;
            }
            count -= front.len();
            self.parts.pop_front();
            if count == 0 {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use riverrun_core::{
        LeaderEpoch, TopicPartition, Uuid,
        log::{AppendOrigin, Found, Log, LogConfig, LogOptions, OsVfs},
        protocol::{
            ResponseBody, encode_response, encode_response_apart,
            messages::{
                FetchResponse,
                fetch::{FetchableTopicResponse, PartitionData},
            },
        },
        record::{BatchBuilder, BatchOptions},
    };
    use tokio::{
        io::AsyncReadExt,
        net::{TcpListener, TcpStream},
    };

    use super::*;

    /// A log of one large batch, and where that is.
    fn span(folder: &Path) -> FileSpan {
        let options = LogOptions {
            topic_partition: TopicPartition::new("t", 0),
            topic_id: Uuid([1; 16]),
            config: LogConfig::default(),
            recovery_point: 0,
            clean_shutdown: false,
            was_compacted: false,
            log_start_offset: 0,
            producers_max: riverrun_core::log::PRODUCERS_MAX,
            state: riverrun_core::budget::StateBudget::unlimited(),
        };
        let mut log = Log::open(Arc::new(OsVfs), folder, options).unwrap();
        let mut builder = BatchBuilder::new(BatchOptions::default());
        builder.append(1, None, Some(&vec![7; 900_000]), []).unwrap();
        log.append(builder.build().unwrap(), AppendOrigin::Client, LeaderEpoch(0), 1).unwrap();
        let Found::File(search) = log.find(0, 1 << 20, 1, true, 0).unwrap() else { panic!("in a file") };
        search.locate().unwrap().unwrap()
    }

    fn response(id: i32, records: Bytes) -> ResponseBody {
        let partitions = vec![PartitionData { records: Some(records), ..Default::default() }];
        let topic = FetchableTopicResponse { partitions, ..Default::default() };
        FetchResponse { session_id: id, responses: vec![topic], ..Default::default() }.into()
    }

    #[tokio::test]
    async fn bytes_leave_in_order_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let span = span(&folder.path().join("t-0"));
        let records = span.read().unwrap().unwrap();
        let (mut buffer, mut expected) = (OutBuffer::default(), Vec::new());
        for id in 0..9 {
            let whole = encode_response(&response(id, records.clone()), 12, id).unwrap();
            expected.extend_from_slice(&whole.to_bytes());
            if id % 3 == 0 || !cfg!(target_os = "linux") {
                buffer.push(whole);
            } else {
                let apart = vec![span.size_in_bytes()];
                let parts = encode_response_apart(&response(id, Bytes::new()), 12, id, apart).unwrap();
                buffer.push_apart(parts, &[Some(span.clone())]);
            }
        }
        assert_eq!(buffer.remaining(), expected.len());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (mut client, mut stream) = (client.unwrap(), Stream::Plain(accepted.unwrap().0));
        let sending = async {
            while !buffer.is_empty() {
                assert!(buffer.write_some(&mut stream).await.unwrap() > 0);
            }
            drop(stream);
        };
        let mut received = Vec::new();
        let ((), read) = tokio::join!(sending, client.read_to_end(&mut received));
        read.unwrap();
        assert!(received == expected, "{} bytes, expected {}", received.len(), expected.len());
    }
}
