//! `riverrun log dump`: what stands in the files, batch by batch and record by record, damaged or not.

use std::{
    io::{self, BufWriter, StdoutLock, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use riverrun::core::{
    log::{
        ReadOnlyVfs, Vfs,
        inspect::{BatchScan, DamagedBytes, DataFile, Scanned, ScannedBatch},
    },
    record::DecompressLimits,
};
use serde_json::{Value, json};

use super::{
    Selection,
    decode::Decoder,
    progress::Progress,
    render::{self, Meaning},
    small,
    target::{Target, partition_of, partitions_in},
};

/// Flags of `riverrun log dump`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Print each record too
    #[arg(long, short = 'r')]
    records: bool,
    /// What the records of internal topics mean
    #[arg(long, value_enum, default_value = "auto")]
    decode: Decoder,
    /// Print one JSON object per line
    #[arg(long)]
    json: bool,
    /// Begin with the batch that holds this offset, or with the record at it
    #[arg(long, value_name = "OFFSET")]
    from: Option<i64>,
    /// Stop after so many batches, or with --records after so many records; of other files, after so many entries
    #[arg(long, short = 'n', value_name = "N")]
    max: Option<u64>,
}

/// Does what was asked for.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let mut dump = Dump::new(args);
    let done = args.selection.paths.iter().try_for_each(|path| dump.target(path));
    let done = done.and_then(|()| Ok(dump.out.flush()?));
    match done {
        // Whoever reads has seen enough.
        Err(error) if is_broken_pipe(&error) => Ok(ExitCode::SUCCESS),
        Err(error) => Err(error),
        Ok(()) if dump.damaged => Ok(ExitCode::FAILURE),
        Ok(()) => Ok(ExitCode::SUCCESS),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A dump under way.
struct Dump<'a> {
    args: &'a Args,
    out: BufWriter<StdoutLock<'static>>,
    progress: Progress,
    /// How much may still be printed.
    left: u64,
    damaged: bool,
}

impl<'a> Dump<'a> {
    fn new(args: &'a Args) -> Self {
        let out = BufWriter::new(io::stdout().lock());
        Self { args, out, progress: Progress::new(false), left: args.max.unwrap_or(u64::MAX), damaged: false }
    }

    fn target(&mut self, path: &Path) -> Result<()> {
        match Target::of(path)? {
            Target::File(path, kind) => self.file(&path, kind),
            Target::Partition(folder) => self.partition(&folder),
            Target::DataDirectory(directory) => {
                if self.args.selection.topic.is_none() {
                    bail!("{} is a data directory; --topic and --partition select of it", directory.display());
                }
                partitions_in(&directory, &self.args.selection)?.iter().try_for_each(|folder| self.partition(folder))
            }
        }
    }

    /// The segments of a partition, in order.
    fn partition(&mut self, folder: &Path) -> Result<()> {
        let names = ReadOnlyVfs.list(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        let segment = |name: &String| match DataFile::of_name(name) {
            Some(DataFile::Segment(base)) => Some((base, folder.join(name))),
            _ => None,
        };
        let mut segments: Vec<(i64, PathBuf)> = names.iter().filter_map(segment).collect();
        segments.sort();
        let wanted = |at: usize| {
            let next: Option<&(i64, PathBuf)> = segments.get(at + 1);
            next.zip(self.args.from).is_none_or(|((next, _), from)| *next > from)
        };
        let first = (0..segments.len()).find(|at| wanted(*at)).unwrap_or_default();
        segments.iter().skip(first).try_for_each(|(_, path)| self.batches(path))
    }

    fn file(&mut self, path: &Path, kind: DataFile) -> Result<()> {
        match kind {
            DataFile::Segment(_) | DataFile::MetadataSnapshot => self.batches(path),
            DataFile::Known | DataFile::Leftover(_) => bail!("{} holds nothing that can be printed", path.display()),
            _ => self.small_file(path, kind),
        }
    }

    /// An index, a snapshot or a checkpoint.
    fn small_file(&mut self, path: &Path, kind: DataFile) -> Result<()> {
        let file = path.display().to_string();
        if !self.args.json {
            writeln!(self.out, "# {file}")?;
        }
        for entry in small::entries(path, kind)? {
            if self.left == 0 {
                break;
            }
            let (text, mut object) = entry.with_context(|| format!("cannot read {file}"))?;
            let offset = object.get("offset").and_then(Value::as_i64);
            if self.args.from.zip(offset).is_some_and(|(from, offset)| offset < from) {
                continue;
            }
            object["file"] = file.as_str().into();
            self.line(|| text, || object)?;
            self.left -= 1;
        }
        Ok(())
    }

    fn batches(&mut self, path: &Path) -> Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        let cannot = || format!("cannot read {}", path.display());
        let file = path.display().to_string();
        let decoder = self.args.decode.for_topic(partition_of(path).as_ref().map(|partition| &*partition.topic));
        let mut scan = BatchScan::open(&ReadOnlyVfs, path).with_context(cannot)?;
        if !self.args.json {
            writeln!(self.out, "# {file}")?;
        }
        while self.left > 0 {
            let Some(scanned) = scan.next() else { break };
            match scanned.with_context(cannot)? {
                Scanned::Batch(found) => self.batch(&file, &found, decoder)?,
                Scanned::Damaged(found) => self.damaged_bytes(&file, &found)?,
            }
            self.progress.tick(&file, scan.position(), scan.length());
        }
        Ok(())
    }

    fn line(&mut self, text: impl FnOnce() -> String, object: impl FnOnce() -> Value) -> io::Result<()> {
        self.progress.clear();
        if self.args.json { writeln!(self.out, "{}", object()) } else { writeln!(self.out, "{}", text()) }
    }

    fn batch(&mut self, file: &str, found: &ScannedBatch, decoder: Decoder) -> Result<()> {
        self.damaged |= found.damage.is_some();
        if self.args.from.is_some_and(|from| found.batch.header().last_offset() < from) {
            return Ok(());
        }
        self.line(|| render::batch_text(found), || render::batch_json(file, found))?;
        if !self.args.records {
            self.left -= 1;
            return Ok(());
        }
        if found.damage.is_some() {
            return Ok(());
        }
        let header = *found.batch.header();
        let records = match found.batch.decode(&DecompressLimits::default()) {
            Ok(records) => records,
            Err(error) => return self.unreadable(file, found, &error),
        };
        for record in &records {
            if self.left == 0 {
                break;
            }
            let record = match record {
                Ok(record) => record,
                Err(error) => return self.unreadable(file, found, &error),
            };
            if self.args.from.is_some_and(|from| record.offset < from) {
                continue;
            }
            let meaning = if header.attributes.is_control() {
                Meaning::Control(render::control(&record))
            } else {
                decoder.decode(&record).map_or(Meaning::None, Meaning::Decoded)
            };
            self.line(
                || render::record_text(&header, &record, &meaning),
                || render::record_json(file, &record, &meaning),
            )?;
            self.left -= 1;
        }
        Ok(())
    }

    /// A batch whose checksum holds and whose records cannot be read all the same: its producer wrote it so.
    fn unreadable(&mut self, file: &str, found: &ScannedBatch, error: &dyn std::error::Error) -> Result<()> {
        self.damaged = true;
        let reason = with_causes(error);
        let position = found.position;
        Ok(self.line(
            || format!("| unreadable records: {reason}"),
            || json!({ "type": "unreadable_records", "file": file, "position": position, "damage": reason }),
        )?)
    }

    fn damaged_bytes(&mut self, file: &str, found: &DamagedBytes) -> Result<()> {
        let DamagedBytes { position, length, error, resumes, blank } = found;
        if *blank {
            return Ok(self.line(
                || format!("room: {length} bytes at position: {position} are zeros, for batches to come"),
                || json!({ "type": "room", "file": file, "position": position, "size": length }),
            )?);
        }
        self.damaged = true;
        let reason = with_causes(error);
        let then = if *resumes { "a sound batch follows" } else { "the file ends with them" };
        Ok(self.line(
            || format!("damaged: {length} bytes at position: {position} are no batch ({reason}); {then}"),
            || json!({ "type": "damaged", "file": file, "position": position, "size": length, "damage": reason, "resumes": resumes }),
        )?)
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
