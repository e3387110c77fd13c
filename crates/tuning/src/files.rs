//! Files that are whole or not there, and values as their bytes.

use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Replaces a file by `bytes` so that a crash leaves the old or the new file,
/// never half of one.
///
/// # Errors
/// What the system says.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    replace(path, |file| file.write_all(bytes))
}

/// Replaces a file by what `write` writes.
fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let temporary = Path::new(&name);
    let mut file = BufWriter::with_capacity(1 << 20, File::create(temporary)?);
    write(&mut file)?;
    file.into_inner()?.sync_all()?;
    std::fs::rename(temporary, path)
}

/// A tensor's values.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    F32(&'a [f32]),
    U8(&'a [u8]),
}

/// A named tensor: its shape and its values.
pub(crate) type Named<'a> = (String, Cow<'a, [usize]>, Values<'a>);

/// Replaces a safetensors file, tensor by tensor: a checkpoint of a whole model
/// is not held in memory once more, and a killed run leaves no other file than
/// the part that the next one writes over.
pub(crate) fn write_tensors(
    path: &Path,
    metadata: Value,
    tensors: &[Named<'_>],
) -> std::io::Result<()> {
    let mut header = Map::new();
    header.insert("__metadata__".to_owned(), metadata);
    let mut end = 0;
    for (name, shape, values) in tensors {
        let start = end;
        let (dtype, bytes) = match values {
            Values::F32(values) => ("F32", size_of_val(*values)),
            Values::U8(values) => ("U8", values.len()),
        };
        end += bytes;
        let tensor = json!({ "dtype": dtype, "shape": shape, "data_offsets": [start, end] });
        header.insert(name.clone(), tensor);
    }
    let mut header = Value::Object(header).to_string();
    // The values begin at a multiple of eight bytes.
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    replace(path, |file| {
        file.write_all(&(header.len() as u64).to_le_bytes())?;
        file.write_all(header.as_bytes())?;
        for (_, _, values) in tensors {
            match values {
                Values::F32(values) => {
                    for values in values.chunks(1 << 18) {
                        file.write_all(&to_bytes(values))?;
                    }
                }
                Values::U8(values) => file.write_all(values)?,
            }
        }
        Ok(())
    })
}

/// Values as little-endian bytes.
pub(crate) fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// Little-endian bytes as values; a rest of less than four bytes is left out.
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use safetensors::SafeTensors;

    #[test]
    fn the_library_reads_what_is_written() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("some.safetensors");
        let many: Vec<f32> = (0..600_000).map(|i| i as f32).collect();
        let bytes: Vec<u8> = (0..=255).collect();
        let tensors: [Named<'_>; 4] = [
            ("b".into(), Cow::Borrowed(&[2, 300_000]), Values::F32(&many)),
            ("a".into(), Cow::Borrowed(&[0, 3]), Values::F32(&[])),
            ("ä \"c".into(), Cow::Borrowed(&[1]), Values::F32(&[-0.5])),
            ("codes".into(), Cow::Borrowed(&[4, 64]), Values::U8(&bytes)),
        ];
        write_tensors(&path, json!({ "progress": "{}" }), &tensors).expect("it is written");
        let bytes = std::fs::read(&path).expect("it is there");
        let (_, header) = SafeTensors::read_metadata(&bytes).expect("a header");
        let metadata = header.metadata().as_ref().expect("metadata");
        assert_eq!(metadata["progress"], "{}");
        let file = SafeTensors::deserialize(&bytes).expect("valid");
        for (name, shape, values) in tensors {
            let tensor = file.tensor(&name).expect(&name);
            assert_eq!(tensor.shape(), &*shape);
            match values {
                Values::F32(values) => assert_eq!(from_bytes(tensor.data()), values),
                Values::U8(values) => assert_eq!(tensor.data(), values),
            }
        }
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            1
        );
    }
}
