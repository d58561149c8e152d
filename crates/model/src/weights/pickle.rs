//! The part of Python's pickles that holds state dicts of tensors, read without running anything:
//! a pickle is a program, and what it would call becomes a value here or an error.

use std::collections::HashMap;

/// Where a value lies in a [`Pickle`].
pub(super) type Id = usize;

/// What a pickle holds, as far as weights need it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// What no weight is made of: bytes, sets, objects of harmless classes.
    Other,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Tuples and lists.
    Sequence(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// Something of a Python module, by its full name.
    Global(String),
    Storage(Storage),
    Tensor(TensorView),
}

/// An array of numbers in the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Storage {
    /// PyTorch's class, `FloatStorage` for one.
    pub class: String,
    /// The name of the archive's file.
    pub key: String,
}

/// A strided view of a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TensorView {
    pub storage: Storage,
    pub offset: usize,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
}

/// Why a pickle cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It names something that could run code.
    Code(String),
    /// It is damaged, or of a kind that PyTorch does not write.
    Damaged(String),
}

fn damaged<T>(reason: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Damaged(reason.into()))
}

/// Most bytes of a pickle: those of checkpoints with a thousand tensors and an optimiser's state
/// take less than one.
pub(super) const LONGEST: u64 = 64 << 20;
/// Most values of a pickle; they take up to 100 bytes each.
const MOST_VALUES: usize = 1 << 22;
/// Most bytes of a class's, a storage's or a tensor's name, which the values that use it repeat.
pub(super) const LONGEST_NAME: usize = 255;
/// Most axes of a tensor, as in PyTorch.
const MOST_AXES: usize = 64;

/// The beginning of a text out of a damaged file, for a message.
fn quoted(text: &str) -> String {
    let start: String = text.chars().take(80).collect();
    match start.len() == text.len() {
        true => format!("\"{start}\""),
        false => format!("\"{start}…\""),
    }
}

/// A pickle, read.
#[derive(Debug)]
pub(super) struct Pickle {
    values: Vec<Value>,
    root: Id,
}

impl Pickle {
    /// Reads the pickle in `bytes`. What it becomes in memory is bounded by its length: each
    /// instruction makes at most one value, and what a value repeats of others is short.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut machine = Machine {
            bytes,
            place: 0,
            values: Vec::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        };
        while !machine.step()? {
            if machine.values.len() > MOST_VALUES {
                return damaged(format!("its pickle holds more than {MOST_VALUES} values"));
            }
        }
        let root = machine.pop()?;
        Ok(Self {
            values: machine.values,
            root,
        })
    }

    /// The value that the pickle is of.
    pub fn root(&self) -> &Value {
        &self.values[self.root]
    }

    pub fn get(&self, id: Id) -> &Value {
        &self.values[id]
    }

    /// Plain settings as JSON, `depth` tables or lists deep at most and `most` values in all; what is
    /// none, or too much, is null.
    pub fn json(&self, value: &Value, depth: usize, most: &mut usize) -> serde_json::Value {
        use serde_json::Value as Json;
        if depth == 0 || *most == 0 {
            return Json::Null;
        }
        *most -= 1;
        let mut inner = |id: Id| self.json(self.get(id), depth - 1, most);
        match value {
            Value::Bool(value) => Json::from(*value),
            Value::Int(value) => Json::from(*value),
            Value::Float(value) => Json::from(*value),
            Value::Text(text) => Json::from(text.as_str()),
            Value::Sequence(items) => items.iter().map(|&id| inner(id)).collect(),
            Value::Dict(entries) => {
                let named = entries.iter().filter_map(|&(key, value)| {
                    let Value::Text(key) = self.get(key) else {
                        return None;
                    };
                    Some((key.clone(), inner(value)))
                });
                Json::Object(named.collect())
            }
            _ => Json::Null,
        }
    }
}

/// What makes values.
const MAKERS: [&str; 6] = [
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
];

/// Classes of settings and counters that training programs leave in their checkpoints. They are
/// not made, only passed over.
const HARMLESS: [&str; 25] = [
    "torch.Size",
    "torch.device",
    "torch.Tensor",
    "torch.nn.parameter.Parameter",
    "argparse.Namespace",
    "collections.defaultdict",
    "collections.Counter",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "datetime.datetime",
    "datetime.timedelta",
    "numpy.dtype",
    "numpy.ndarray",
    "numpy.core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.multiarray._reconstruct",
    "_codecs.encode",
    "builtins.dict",
    "builtins.list",
    "builtins.set",
    "builtins.frozenset",
    "builtins.bytearray",
    "builtins.complex",
];

/// Packages whose classes only describe.
const DESCRIBING: [&str; 7] = [
    "omegaconf.",
    "torch.optim.",
    "torch.amp.",
    "torch.cuda.amp.",
    "pytorch_lightning.",
    "lightning.",
    "lightning_fabric.",
];

fn is_storage(name: &str) -> bool {
    let class = name
        .strip_prefix("torch.storage.")
        .or_else(|| name.strip_prefix("torch."));
    class.is_some_and(|class| class.ends_with("Storage") && !class.contains('.'))
}

/// `torch.float32` and its like.
fn is_dtype(name: &str) -> bool {
    let kinds = ["float", "bfloat", "int", "uint", "bool", "complex", "qint"];
    let name = name.strip_prefix("torch.").unwrap_or_default();
    let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
    kinds.contains(&kind)
}

fn is_permitted(name: &str) -> bool {
    MAKERS.contains(&name)
        || HARMLESS.contains(&name)
        || DESCRIBING.iter().any(|package| name.starts_with(package))
        || is_storage(name)
        || is_dtype(name)
}

struct Machine<'a> {
    bytes: &'a [u8],
    place: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine<'_> {
    /// Follows one instruction; whether it was the last.
    fn step(&mut self) -> Result<bool, Refusal> {
        let code = self.take(1)?[0];
        match code {
            b'.' => return Ok(true),
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'c' | b'i' | 0x93 => self.global(code)?,
            b'R' | 0x81 | 0x92 | b'o' => self.call(code)?,
            b'Q' => self.persistent()?,
            // What an object's class does with its state is nobody's business here.
            b'b' => drop(self.pop()?),
            b'q' | b'r' | b'p' | 0x94 => self.remember(code)?,
            b'h' | b'j' | b'g' => self.recall(code)?,
            b'a' | b'e' | b's' | b'u' | 0x90 => self.fill(code)?,
            b')' | b']' | b'}' | b't' | b'l' | b'd' | 0x85..=0x87 | 0x8f | 0x91 => {
                self.collection(code)?;
            }
            _ => self.literal(code)?,
        }
        Ok(false)
    }

    fn take(&mut self, count: usize) -> Result<&[u8], Refusal> {
        let end = self.place.checked_add(count);
        match end.and_then(|end| self.bytes.get(self.place..end)) {
            Some(bytes) => {
                self.place += count;
                Ok(bytes)
            }
            None => damaged("its pickle ends too early"),
        }
    }

    fn skip(&mut self, count: usize) -> Result<(), Refusal> {
        self.take(count).map(|_| ())
    }

    /// An unsigned number of up to eight bytes.
    fn number(&mut self, bytes: usize) -> Result<usize, Refusal> {
        let bytes = self.take(bytes)?;
        let value = bytes.iter().rev().try_fold(0_u64, |sum, &byte| {
            sum.checked_mul(256)?.checked_add(u64::from(byte))
        });
        match value.and_then(|value| usize::try_from(value).ok()) {
            Some(value) => Ok(value),
            None => damaged("its pickle holds an impossible length"),
        }
    }

    fn line(&mut self) -> Result<String, Refusal> {
        let rest = &self.bytes[self.place..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return damaged("its pickle ends within a line");
        };
        self.place += length + 1;
        Ok(String::from_utf8_lossy(&rest[..length]).into_owned())
    }

    fn push(&mut self, value: Value) {
        self.values.push(value);
        self.stack.push(self.values.len() - 1);
    }

    fn pop(&mut self) -> Result<Id, Refusal> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len() > floor {
            true => Ok(self.stack.pop().unwrap_or_default()),
            false => damaged("its pickle takes more than it gave"),
        }
    }

    fn top(&self) -> Result<Id, Refusal> {
        match self.stack.last() {
            Some(&id) => Ok(id),
            None => damaged("its pickle takes more than it gave"),
        }
    }

    /// Everything since the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Id>, Refusal> {
        match self.marks.pop() {
            Some(mark) if mark <= self.stack.len() => Ok(self.stack.split_off(mark)),
            _ => damaged("its pickle misses a mark"),
        }
    }

    fn remember(&mut self, code: u8) -> Result<(), Refusal> {
        let slot = match code {
            b'q' => self.number(1)?,
            b'r' => self.number(4)?,
            b'p' => self.line_number()?,
            _ => self.memo.len(),
        };
        let id = self.top()?;
        self.memo.insert(slot, id);
        Ok(())
    }

    fn recall(&mut self, code: u8) -> Result<(), Refusal> {
        let slot = match code {
            b'h' => self.number(1)?,
            b'j' => self.number(4)?,
            _ => self.line_number()?,
        };
        match self.memo.get(&slot) {
            Some(&id) => self.stack.push(id),
            None => return damaged("its pickle recalls what it never kept"),
        }
        Ok(())
    }

    fn line_number(&mut self) -> Result<usize, Refusal> {
        let line = self.line()?;
        line.trim()
            .parse()
            .or_else(|_| damaged(format!("its pickle holds {} for a number", quoted(&line))))
    }

    fn text(&self, id: Id) -> Result<&str, Refusal> {
        match &self.values[id] {
            Value::Text(text) if text.len() <= LONGEST_NAME => Ok(text),
            Value::Text(text) => damaged(format!("its pickle names {}", quoted(text))),
            _ => damaged("its pickle names something by other than text"),
        }
    }

    fn global(&mut self, code: u8) -> Result<(), Refusal> {
        let (module, name) = if code == 0x93 {
            let (name, module) = (self.pop()?, self.pop()?);
            (self.text(module)?.to_owned(), self.text(name)?.to_owned())
        } else {
            (self.line()?, self.line()?)
        };
        if module.len() + name.len() > LONGEST_NAME {
            let text = format!("{}.{}", quoted(&module), quoted(&name));
            return damaged(format!("its pickle names {text}"));
        }
        // Python 2 called its builtins otherwise.
        let module = module.replace("__builtin__", "builtins");
        let full = format!("{module}.{name}");
        if !is_permitted(&full) {
            return Err(Refusal::Code(full));
        }
        if code == b'i' {
            self.pop_mark()?;
            self.push(Value::Other);
        } else {
            self.push(Value::Global(full));
        }
        Ok(())
    }

    fn call(&mut self, code: u8) -> Result<(), Refusal> {
        if code == b'o' {
            self.pop_mark()?;
            self.push(Value::Other);
            return Ok(());
        }
        if code == 0x92 {
            self.pop()?;
        }
        let (arguments, callee) = (self.pop()?, self.pop()?);
        let made = self.make(callee, arguments)?;
        match made {
            Made::Value(value) => self.push(value),
            Made::Known(id) => self.stack.push(id),
        }
        Ok(())
    }

    fn make(&self, callee: Id, arguments: Id) -> Result<Made, Refusal> {
        let (Value::Global(name), Value::Sequence(arguments)) =
            (&self.values[callee], &self.values[arguments])
        else {
            return damaged("its pickle calls what is no function");
        };
        match name.as_str() {
            "collections.OrderedDict" => Ok(Made::Value(Value::Dict(Vec::new()))),
            "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2" => {
                Ok(Made::Value(Value::Tensor(self.tensor(arguments)?)))
            }
            "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state" => {
                self.argument(arguments, 0).map(Made::Known)
            }
            // A subclass of a tensor: a function, the class, the function's arguments.
            "torch._tensor._rebuild_from_type_v2" => {
                let (inner, arguments) =
                    (self.argument(arguments, 0)?, self.argument(arguments, 2)?);
                match &self.values[inner] {
                    Value::Global(name) if name != "torch._tensor._rebuild_from_type_v2" => {
                        self.make(inner, arguments)
                    }
                    _ => damaged("its pickle nests tensors' classes"),
                }
            }
            _ => Ok(Made::Value(Value::Other)),
        }
    }

    fn argument(&self, arguments: &[Id], index: usize) -> Result<Id, Refusal> {
        match arguments.get(index) {
            Some(&id) => Ok(id),
            None => damaged("its pickle makes a tensor of too little"),
        }
    }

    /// Storage, offset, shape, strides.
    fn tensor(&self, arguments: &[Id]) -> Result<TensorView, Refusal> {
        let value = |index| Ok(&self.values[self.argument(arguments, index)?]);
        let (Value::Storage(storage), &Value::Int(offset)) = (value(0)?, value(1)?) else {
            return damaged("its pickle makes a tensor of no storage");
        };
        let numbers = |value: &Value| {
            let Value::Sequence(items) = value else {
                return None;
            };
            if items.len() > MOST_AXES {
                return None;
            }
            let number = |&id: &Id| match self.values[id] {
                Value::Int(number) => usize::try_from(number).ok(),
                _ => None,
            };
            items.iter().map(number).collect::<Option<Vec<usize>>>()
        };
        match (
            usize::try_from(offset).ok(),
            numbers(value(2)?),
            numbers(value(3)?),
        ) {
            (Some(offset), Some(shape), Some(strides)) if shape.len() == strides.len() => {
                Ok(TensorView {
                    storage: storage.clone(),
                    offset,
                    shape,
                    strides,
                })
            }
            _ => damaged("its pickle holds a tensor of impossible shape"),
        }
    }

    /// `("storage", class, key, device, length)`.
    fn persistent(&mut self) -> Result<(), Refusal> {
        let id = self.pop()?;
        let Value::Sequence(parts) = &self.values[id] else {
            return damaged("its pickle refers to something outside of it");
        };
        let (Some(&class), Some(&key)) = (parts.get(1), parts.get(2)) else {
            return damaged("its pickle refers to something outside of it");
        };
        let (Value::Global(class), Value::Text(_)) = (&self.values[class], &self.values[key])
        else {
            return damaged("its pickle refers to a storage by other than name");
        };
        let storage = Storage {
            class: class.rsplit('.').next().unwrap_or_default().to_owned(),
            key: self.text(key)?.to_owned(),
        };
        self.push(Value::Storage(storage));
        Ok(())
    }

    /// Puts items into the collection below them.
    fn fill(&mut self, code: u8) -> Result<(), Refusal> {
        let items = match code {
            b'a' => vec![self.pop()?],
            b's' => {
                let value = self.pop()?;
                vec![self.pop()?, value]
            }
            _ => self.pop_mark()?,
        };
        let target = self.top()?;
        match &mut self.values[target] {
            Value::Sequence(list) => list.extend(items),
            Value::Dict(entries) if items.len() % 2 == 0 => {
                entries.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            Value::Other => {}
            _ => return damaged("its pickle fills what is no collection"),
        }
        Ok(())
    }

    fn collection(&mut self, code: u8) -> Result<(), Refusal> {
        let value = match code {
            b')' | b']' => Value::Sequence(Vec::new()),
            b'}' => Value::Dict(Vec::new()),
            b't' | b'l' => Value::Sequence(self.pop_mark()?),
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = items.chunks_exact(2).map(|pair| (pair[0], pair[1]));
                Value::Dict(pairs.collect())
            }
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.insert(0, self.pop()?);
                }
                Value::Sequence(items)
            }
            0x91 => {
                self.pop_mark()?;
                Value::Other
            }
            _ => Value::Other,
        };
        self.push(value);
        Ok(())
    }

    /// Numbers, texts and bytes.
    fn literal(&mut self, code: u8) -> Result<(), Refusal> {
        let value = match code {
            b'N' => Value::Other,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.number(1)? as i64),
            b'M' => Value::Int(self.number(2)? as i64),
            b'J' => {
                let bytes = self.take(4)?;
                Value::Int(i64::from(i32::from_le_bytes([
                    bytes[0], bytes[1], bytes[2], bytes[3],
                ])))
            }
            0x8a => {
                let length = self.number(1)?;
                long(self.take(length)?)
            }
            0x8b => {
                let length = self.number(4)?;
                long(self.take(length)?)
            }
            b'I' | b'L' => integer(self.line()?.trim_end_matches('L')),
            b'F' => self
                .line()?
                .trim()
                .parse()
                .map_or(Value::Other, Value::Float),
            b'G' => {
                let bytes = self.take(8)?.first_chunk().copied();
                Value::Float(f64::from_be_bytes(bytes.unwrap_or_default()))
            }
            b'X' => self.unicode(4)?,
            0x8c | b'U' => self.unicode(1)?,
            0x8d => self.unicode(8)?,
            b'T' => self.unicode(4)?,
            b'V' | b'S' => Value::Text(self.line()?.trim_matches(['\'', '"']).to_owned()),
            b'C' => self.opaque(1)?,
            b'B' => self.opaque(4)?,
            0x8e | 0x96 => self.opaque(8)?,
            other => {
                return damaged(format!(
                    "its pickle holds an unknown instruction {other:#04x}"
                ));
            }
        };
        self.push(value);
        Ok(())
    }

    fn unicode(&mut self, prefix: usize) -> Result<Value, Refusal> {
        let length = self.number(prefix)?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        Ok(Value::Text(text))
    }

    fn opaque(&mut self, prefix: usize) -> Result<Value, Refusal> {
        let length = self.number(prefix)?;
        self.skip(length)?;
        Ok(Value::Other)
    }
}

enum Made {
    Value(Value),
    Known(Id),
}

/// A little-endian integer of any length; those too long for a size are nobody's size.
fn long(bytes: &[u8]) -> Value {
    if bytes.len() > 8 {
        return Value::Other;
    }
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut extended = [if negative { 0xff } else { 0 }; 8];
    extended[..bytes.len()].copy_from_slice(bytes);
    Value::Int(i64::from_le_bytes(extended))
}

fn integer(line: &str) -> Value {
    line.trim().parse().map_or(Value::Other, Value::Int)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_named_and_never_run() {
        let refusal =
            Pickle::read(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00ls\x85R.").unwrap_err();
        assert_eq!(refusal, Refusal::Code("posix.system".to_owned()));
        let refusal = Pickle::read(b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.").unwrap_err();
        assert_eq!(refusal, Refusal::Code("builtins.eval".to_owned()));
        let refusal = Pickle::read(b"(S'ls'\nios\nsystem\n.").unwrap_err();
        assert_eq!(refusal, Refusal::Code("os.system".to_owned()));
    }

    #[test]
    fn dicts_lists_and_memories_are_read() {
        // {"a": [1, 300, -2], "b": the same list}
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00a]q\x01(K\x01M\x2c\x01J\xfe\xff\xff\xffe\
            X\x01\x00\x00\x00bh\x01u.";
        let pickle = Pickle::read(bytes).unwrap();
        let Value::Dict(entries) = pickle.root() else {
            panic!("{pickle:?}");
        };
        assert_eq!(pickle.get(entries[0].0), &Value::Text("a".to_owned()));
        assert_eq!(entries[0].1, entries[1].1);
        let Value::Sequence(items) = pickle.get(entries[0].1) else {
            panic!("{pickle:?}");
        };
        let numbers: Vec<&Value> = items.iter().map(|&id| pickle.get(id)).collect();
        assert_eq!(numbers, [&Value::Int(1), &Value::Int(300), &Value::Int(-2)]);
    }

    fn refused(bytes: &[u8]) -> String {
        match Pickle::read(bytes).unwrap_err() {
            Refusal::Damaged(reason) => reason,
            Refusal::Code(name) => panic!("{name}"),
        }
    }

    #[test]
    fn lengths_beyond_the_pickle_are_refused() {
        for long in [
            b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.".as_slice(),
            b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa.",
            b"\x80\x02X\xff\xff\xff\xffa.",
            b"\x80\x02\x8b\xff\xff\xff\x7fa.",
        ] {
            assert!(refused(long).contains("ends too early"));
        }
        let frame = b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.";
        assert!(
            Pickle::read(frame).is_ok(),
            "a frame's size allocates nothing"
        );
    }

    #[test]
    fn values_and_names_are_bounded() {
        let mut endless = b"\x80\x02".to_vec();
        endless.extend(vec![b']'; MOST_VALUES + 1]);
        assert!(refused(&endless).contains("more than 4194304 values"));

        // One name of a megabyte under a thousand classes.
        let mut long = b"\x80\x04X\x00\x00\x10\x00".to_vec();
        long.extend(vec![b'a'; 1 << 20]);
        long.extend(b"q\x00h\x00h\x00\x93.");
        let reason = refused(&long);
        assert!(
            reason.contains("names \"aaa") && reason.len() < 200,
            "{reason}"
        );

        let mut line = b"\x80\x02cos\n".to_vec();
        line.extend(vec![b'b'; 1 << 20]);
        line.extend(b"\n.");
        assert!(refused(&line).len() < 250);
    }

    #[test]
    fn a_list_that_holds_itself_ends() {
        let pickle = Pickle::read(b"\x80\x02]q\x00h\x00a.").unwrap();
        assert_eq!(pickle.root(), &Value::Sequence(vec![0]));
        let mut tuples = b"\x80\x02N".to_vec();
        tuples.extend(b"q\x00h\x00\x86".repeat(1000));
        tuples.push(b'.');
        assert!(Pickle::read(&tuples).is_ok(), "tuples share their items");
    }

    #[test]
    fn damage_is_no_panic() {
        let whole = b"\x80\x02}q\x00(X\x01\x00\x00\x00a]q\x01(K\x01M\x2c\x01eu.";
        for end in 0..whole.len() {
            assert!(matches!(
                Pickle::read(&whole[..end]),
                Err(Refusal::Damaged(_))
            ));
        }
        for byte in 0..=255_u8 {
            for place in 0..whole.len() {
                let mut bytes = whole.to_vec();
                bytes[place] = byte;
                let _ = Pickle::read(&bytes);
            }
        }
    }
}
