//! Computes how large a component becomes when it is expanded.
//!
//! A compiler of components expands each instance with everything inside it, and each type as often as it is named.
//! So a few kilobytes of parts that each contain another one twice become gigabytes. This module counts what would
//! be written, without writing it. The size of an instance and the cost of creating it are linear in the largest
//! instance that is passed to it.

use wasmparser::{
    BinaryReader, BinaryReaderError, CanonicalFunction, ComponentAlias, ComponentDefinedType, ComponentExternalKind,
    ComponentImport, ComponentInstance, ComponentOuterAliasKind, ComponentType, ComponentTypeRef, ComponentValType,
    CoreType, Encoding, Instance, Payload, TypeBounds,
};

use crate::error::{ExtensionError, MAX_PARTS};

/// The maximum nesting of component and instance types, as set by the format itself.
const MAX_TYPE_DEPTH: usize = 100;

type Result<T> = std::result::Result<T, ExtensionError>;

/// A number of parts, as a function of the largest instance passed to the surrounding component.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    own: u64,
    /// The factor of the size of that instance.
    handed: u64,
}

impl Count {
    const fn of(own: u64) -> Self {
        Self { own, handed: 0 }
    }

    const fn plus(self, other: Self) -> Self {
        Self { own: self.own.saturating_add(other.own), handed: self.handed.saturating_add(other.handed) }
    }

    fn max(self, other: Self) -> Self {
        Self { own: self.own.max(other.own), handed: self.handed.max(other.handed) }
    }

    /// Returns the size if an instance of the size `largest` is passed.
    const fn given(self, largest: Self) -> Self {
        Self::of(self.own).plus(Self {
            own: self.handed.saturating_mul(largest.own),
            handed: self.handed.saturating_mul(largest.handed),
        })
    }
}

/// The known size of an instance.
#[derive(Debug, Clone, Copy)]
struct KnownSize {
    /// The size of its type.
    declared: u64,
    /// The size of the instance.
    size: Count,
}

/// The cost and the result of instantiating a component.
#[derive(Debug, Clone, Copy)]
struct InstantiationPlan {
    cost: Count,
    result: KnownSize,
}

/// The index spaces of a component, a component type or an instance type.
#[derive(Debug, Default)]
struct IndexSpaces {
    /// Whether this is a module, in which nothing is counted.
    module: bool,
    types: Vec<u64>,
    core_types: Vec<u64>,
    functions: Vec<u64>,
    instances: Vec<KnownSize>,
    /// `None` for a component that is passed in.
    components: Vec<Option<InstantiationPlan>>,
    /// The cost of instantiation.
    cost: Count,
    exports: Count,
    /// The size of the imports and exports.
    declared: u64,
}

/// The counts of a component so far.
#[derive(Debug, Default)]
pub(crate) struct Structure {
    scopes: Vec<IndexSpaces>,
    /// The number of parts in the file.
    parts: u64,
}

impl Structure {
    /// Counts one payload. Payloads come in the order of the file.
    pub(crate) fn read(&mut self, payload: &Payload<'_>, bytes: &[u8]) -> Result<()> {
        match payload {
            Payload::Version { encoding, .. } => {
                self.scopes.push(IndexSpaces { module: *encoding == Encoding::Module, ..IndexSpaces::default() });
            }
            Payload::End(_) => self.close()?,
            _ if self.scopes.last().is_none_or(|scope| scope.module) => {}
            Payload::CoreTypeSection(section) => {
                for item in section.clone() {
                    let size = core_type(&item.map_err(damaged)?);
                    self.part()?.core_types.push(size);
                }
            }
            Payload::InstanceSection(section) => {
                for item in section.clone() {
                    let arguments = match item.map_err(damaged)? {
                        Instance::Instantiate { args, .. } => args.len(),
                        Instance::FromExports(items) => items.len(),
                    };
                    self.costs(Count::of(1 + arguments as u64))?;
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for item in section.clone() {
                    let known = self.instance(&item.map_err(damaged)?)?;
                    self.costs(known.size)?;
                    self.part()?.instances.push(known);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for item in section.clone() {
                    self.alias(&item.map_err(damaged)?)?;
                }
            }
            Payload::ComponentTypeSection(section) => {
                let range = section.range();
                let mut reader = BinaryReader::new(bytes.get(range.clone()).unwrap_or_default(), range.start);
                for _ in 0..reader.read_var_u32().map_err(damaged)? {
                    let size = self.component_type(&mut reader, 0)?;
                    self.part()?.types.push(size);
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for item in section.clone() {
                    let size = match item.map_err(damaged)? {
                        CanonicalFunction::Lift { type_index, .. } => {
                            let size = self.type_size(type_index)?;
                            self.top()?.functions.push(size);
                            size
                        }
                        CanonicalFunction::Lower { func_index, .. } => at(&self.top()?.functions, func_index)?,
                        _ => 1,
                    };
                    self.costs(Count::of(size))?;
                }
            }
            Payload::ComponentImportSection(section) => {
                for item in section.clone() {
                    self.import(&item.map_err(damaged)?)?;
                }
            }
            Payload::ComponentExportSection(section) => {
                for item in section.clone() {
                    let export = item.map_err(damaged)?;
                    self.export(export.kind, export.index)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self) -> Result<()> {
        let Some(scope) = self.scopes.pop() else { return Ok(()) };
        if scope.module {
            return Ok(());
        }
        if scope.cost.own.saturating_add(scope.cost.handed) > MAX_PARTS {
            return Err(ExtensionError::TooComplex);
        }
        let result = KnownSize { declared: scope.declared, size: scope.exports.plus(Count::of(1)) };
        if let Some(outer) = self.scopes.last_mut() {
            outer.components.push(Some(InstantiationPlan { cost: scope.cost, result }));
        }
        Ok(())
    }

    fn top(&mut self) -> Result<&mut IndexSpaces> {
        self.scopes.last_mut().ok_or_else(outside)
    }

    /// Adds one part to the innermost scope and returns the scope.
    fn part(&mut self) -> Result<&mut IndexSpaces> {
        self.parts += 1;
        if self.parts > MAX_PARTS {
            return Err(ExtensionError::TooComplex);
        }
        self.top()
    }

    fn costs(&mut self, size: Count) -> Result<()> {
        let scope = self.top()?;
        scope.cost = scope.cost.plus(size).plus(Count::of(1));
        if scope.cost.own > MAX_PARTS {
            return Err(ExtensionError::TooComplex);
        }
        Ok(())
    }

    /// Returns the scope `count` levels out.
    fn outer(&self, count: u32) -> Result<&IndexSpaces> {
        let level = self.scopes.len().checked_sub(1 + count as usize).ok_or_else(outside)?;
        self.scopes.get(level).ok_or_else(outside)
    }

    fn type_size(&self, index: u32) -> Result<u64> {
        at(&self.outer(0)?.types, index)
    }

    fn instance(&mut self, instance: &ComponentInstance<'_>) -> Result<KnownSize> {
        match instance {
            ComponentInstance::Instantiate { component_index, args } => {
                let Some(recipe) = at(&self.top()?.components, *component_index)? else {
                    return Err(ExtensionError::UnsupportedInstantiation);
                };
                let mut largest = Count::of(1);
                for argument in args {
                    let known = self.item(argument.kind, argument.index)?;
                    largest = largest.max(known.size);
                    self.costs(known.size)?;
                }
                self.costs(recipe.cost.given(largest))?;
                Ok(KnownSize { declared: recipe.result.declared, size: recipe.result.size.given(largest) })
            }
            ComponentInstance::FromExports(items) => {
                let mut all = KnownSize { declared: 1, size: Count::of(1) };
                for item in items {
                    let known = self.item(item.kind, item.index)?;
                    all.declared = all.declared.saturating_add(known.declared);
                    all.size = all.size.plus(known.size);
                }
                Ok(all)
            }
        }
    }

    /// Returns what is at an index.
    fn item(&mut self, kind: ComponentExternalKind, index: u32) -> Result<KnownSize> {
        let scope = self.top()?;
        let declared = match kind {
            ComponentExternalKind::Instance => return at(&scope.instances, index),
            ComponentExternalKind::Func => at(&scope.functions, index)?,
            ComponentExternalKind::Type => at(&scope.types, index)?,
            ComponentExternalKind::Component | ComponentExternalKind::Module | ComponentExternalKind::Value => 1,
        };
        Ok(KnownSize { declared, size: Count::of(1) })
    }

    /// Gives an item the next index of its kind.
    fn add(
        &mut self,
        kind: ComponentExternalKind,
        known: KnownSize,
        component: Option<InstantiationPlan>,
    ) -> Result<()> {
        let scope = self.part()?;
        match kind {
            ComponentExternalKind::Instance => scope.instances.push(known),
            ComponentExternalKind::Func => scope.functions.push(known.declared),
            ComponentExternalKind::Type => scope.types.push(known.declared),
            ComponentExternalKind::Component => scope.components.push(component),
            ComponentExternalKind::Module | ComponentExternalKind::Value => {}
        }
        Ok(())
    }

    fn import(&mut self, import: &ComponentImport<'_>) -> Result<()> {
        let declared = self.reference(&import.ty)?;
        self.declare(declared)?;
        let size = if import.ty.kind() == ComponentExternalKind::Instance {
            Count { own: 0, handed: 1 }
        } else {
            Count::of(1)
        };
        self.add(import.ty.kind(), KnownSize { declared, size }, None)
    }

    fn export(&mut self, kind: ComponentExternalKind, index: u32) -> Result<()> {
        let known = self.item(kind, index)?;
        let component = match kind {
            ComponentExternalKind::Component => at(&self.top()?.components, index)?,
            _ => None,
        };
        self.declare(known.declared)?;
        self.costs(known.size)?;
        let scope = self.top()?;
        scope.exports = scope.exports.plus(known.size);
        self.add(kind, known, component)
    }

    /// Adds something of this size to the component's imports and exports.
    fn declare(&mut self, size: u64) -> Result<()> {
        let scope = self.top()?;
        scope.declared = scope.declared.saturating_add(size).saturating_add(1);
        self.costs(Count::of(size))
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) -> Result<()> {
        match *alias {
            ComponentAlias::InstanceExport { kind, instance_index, .. } => {
                // The export is at most as large as the whole instance.
                let known = at(&self.top()?.instances, instance_index)?;
                self.costs(known.size)?;
                self.add(kind, known, None)
            }
            ComponentAlias::CoreInstanceExport { .. } => self.costs(Count::of(1)),
            ComponentAlias::Outer { kind, count, index } => {
                let outer = self.outer(count)?;
                match kind {
                    ComponentOuterAliasKind::CoreModule => {}
                    ComponentOuterAliasKind::CoreType => {
                        let size = at(&outer.core_types, index)?;
                        self.part()?.core_types.push(size);
                    }
                    ComponentOuterAliasKind::Type => {
                        let size = at(&outer.types, index)?;
                        self.part()?.types.push(size);
                    }
                    ComponentOuterAliasKind::Component => {
                        let recipe = at(&outer.components, index)?;
                        self.part()?.components.push(recipe);
                    }
                }
                Ok(())
            }
        }
    }

    /// Returns the size of the type of an import or an export.
    fn reference(&self, ty: &ComponentTypeRef) -> Result<u64> {
        match *ty {
            ComponentTypeRef::Module(index) => at(&self.outer(0)?.core_types, index),
            ComponentTypeRef::Func(index) | ComponentTypeRef::Instance(index) | ComponentTypeRef::Component(index) => {
                self.type_size(index)
            }
            ComponentTypeRef::Type(TypeBounds::Eq(index)) => self.type_size(index),
            ComponentTypeRef::Type(TypeBounds::SubResource) => Ok(1),
            ComponentTypeRef::Value(ty) => self.value_type(ty),
        }
    }

    fn value_type(&self, ty: ComponentValType) -> Result<u64> {
        match ty {
            ComponentValType::Primitive(_) => Ok(1),
            ComponentValType::Type(index) => self.type_size(index),
        }
    }

    fn value_types(&self, types: impl IntoIterator<Item = ComponentValType>) -> Result<u64> {
        types.into_iter().try_fold(1_u64, |sum, ty| Ok(sum.saturating_add(self.value_type(ty)?)))
    }

    /// Returns the size of an expanded type. The library's own reader recurses once for each level of nesting in
    /// the file.
    fn component_type(&mut self, reader: &mut BinaryReader<'_>, depth: usize) -> Result<u64> {
        let whole = reader.clone();
        let kind = reader.read_u8().map_err(damaged)?;
        if kind == 0x41 || kind == 0x42 {
            if depth == MAX_TYPE_DEPTH {
                return Err(ExtensionError::NotWasm("its types are nested too deeply".into()));
            }
            self.scopes.push(IndexSpaces::default());
            for _ in 0..reader.read_var_u32().map_err(damaged)? {
                self.declaration(reader, depth)?;
            }
            let declared = self.top()?.declared;
            self.scopes.pop();
            return Ok(declared.saturating_add(1));
        }
        *reader = whole;
        match reader.read().map_err(damaged)? {
            ComponentType::Defined(ty) => self.defined(&ty),
            ComponentType::Func(ty) => self.value_types(ty.params.iter().map(|(_, ty)| *ty).chain(ty.result)),
            _ => Ok(1),
        }
    }

    /// Reads one declaration of a component type or an instance type.
    fn declaration(&mut self, reader: &mut BinaryReader<'_>, depth: usize) -> Result<()> {
        match reader.read_u8().map_err(damaged)? {
            0x00 => {
                let size = core_type(&reader.read().map_err(damaged)?);
                self.part()?.core_types.push(size);
            }
            0x01 => {
                let size = self.component_type(reader, depth + 1)?;
                self.part()?.types.push(size);
            }
            0x02 => self.alias(&reader.read().map_err(damaged)?)?,
            0x03 => self.import(&reader.read().map_err(damaged)?)?,
            0x04 => {
                let _name: wasmparser::ComponentExternName<'_> = reader.read().map_err(damaged)?;
                let ty: ComponentTypeRef = reader.read().map_err(damaged)?;
                let declared = self.reference(&ty)?;
                self.declare(declared)?;
                self.add(ty.kind(), KnownSize { declared, size: Count::of(1) }, None)?;
            }
            _ => return Err(ExtensionError::NotWasm("a type has a part of no known kind".into())),
        }
        Ok(())
    }

    fn defined(&self, ty: &ComponentDefinedType<'_>) -> Result<u64> {
        match ty {
            ComponentDefinedType::Primitive(_) | ComponentDefinedType::Own(_) | ComponentDefinedType::Borrow(_) => {
                Ok(1)
            }
            ComponentDefinedType::Flags(names) | ComponentDefinedType::Enum(names) => Ok(1 + names.len() as u64),
            ComponentDefinedType::Record(fields) => self.value_types(fields.iter().map(|(_, ty)| *ty)),
            // A case without a value is a part too.
            ComponentDefinedType::Variant(cases) => {
                Ok(self.value_types(cases.iter().filter_map(|case| case.ty))?.saturating_add(cases.len() as u64))
            }
            ComponentDefinedType::Tuple(types) => self.value_types(types.iter().copied()),
            ComponentDefinedType::List(ty) | ComponentDefinedType::Option(ty) => self.value_types([*ty]),
            // When flattened, each element is a part.
            ComponentDefinedType::FixedLengthList(ty, length) => {
                Ok(self.value_type(*ty)?.saturating_mul(u64::from(*length).max(1)))
            }
            ComponentDefinedType::Map(key, value) => self.value_types([*key, *value]),
            ComponentDefinedType::Result { ok, err } => self.value_types(ok.iter().chain(err).copied()),
            ComponentDefinedType::Future(ty) | ComponentDefinedType::Stream(ty) => self.value_types(*ty),
        }
    }
}

fn core_type(ty: &CoreType<'_>) -> u64 {
    match ty {
        CoreType::Rec(_) => 1,
        CoreType::Module(declarations) => 1 + declarations.len() as u64,
    }
}

fn at<T: Copy>(space: &[T], index: u32) -> Result<T> {
    space.get(index as usize).copied().ok_or_else(outside)
}

fn outside() -> ExtensionError {
    ExtensionError::NotWasm("it refers to a part that it does not have".into())
}

#[expect(clippy::needless_pass_by_value, reason = "an argument of `map_err`")]
fn damaged(error: BinaryReaderError) -> ExtensionError {
    ExtensionError::NotWasm(error.message().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use wasmparser::Parser;

    use super::*;

    fn count(text: &str) -> Result<u64> {
        let bytes = wat::parse_str(text).unwrap();
        let mut structure = Structure::default();
        let mut cost = 0;
        for payload in Parser::new(0).parse_all(&bytes) {
            let payload = payload.unwrap();
            structure.read(&payload, &bytes)?;
            cost = structure.scopes.last().map_or(cost, |scope| scope.cost.own);
        }
        Ok(cost)
    }

    /// Nests components, each of which instantiates the previous one twice.
    fn doubling(levels: usize) -> String {
        let mut text = "(component (component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
        for level in 1..=levels {
            let before = level - 1;
            let _ = write!(
                text,
                "(component $c{level} (alias outer 1 $c{before} (component $c)) \
                 (instance (instantiate $c)) (instance (instantiate $c)))"
            );
        }
        let _ = write!(text, "(instance (instantiate $c{levels})))");
        text
    }

    /// Nests instances, each of which contains the previous one twice.
    fn holding(levels: usize) -> String {
        let mut text = "(component (import \"f\" (func $f)) (instance $i0 (export \"f\" (func $f)))".to_owned();
        for level in 1..=levels {
            let before = level - 1;
            let _ = write!(
                text,
                "(instance $i{level} (export \"a\" (instance $i{before})) (export \"b\" (instance $i{before})))"
            );
        }
        text + ")"
    }

    /// Like [`holding`], but through a component that takes an instance and exports it twice.
    fn handing(levels: usize) -> String {
        let mut text = "(component (import \"i\" (instance $i0)) \
            (component $twice (import \"i\" (instance $i)) (export \"a\" (instance $i)) (export \"b\" (instance $i)))"
            .to_owned();
        for level in 1..=levels {
            let _ = write!(text, "(instance $i{level} (instantiate $twice (with \"i\" (instance $i{}))))", level - 1);
        }
        text + ")"
    }

    /// Nests types.
    fn types(levels: usize) -> String {
        let mut text = "(component (type $t0 (instance (export \"f\" (func))))".to_owned();
        for level in 1..=levels {
            let before = level - 1;
            let _ = write!(
                text,
                "(type $t{level} (instance (alias outer 1 $t{before} (type $t)) \
                 (export \"a\" (instance (type $t))) (export \"b\" (instance (type $t)))))"
            );
        }
        let _ = write!(text, "(import \"i\" (instance (type $t{levels}))))");
        text
    }

    #[test]
    fn doubling_is_counted_whichever_way_it_is_written() {
        for bomb in [doubling, holding, handing, types] {
            assert!(count(&bomb(6)).unwrap() > 64, "{}", bomb(6));
            assert!(count(&bomb(6)).unwrap() < 3_000, "{}", bomb(6));
            assert!(matches!(count(&bomb(20)), Err(ExtensionError::TooComplex)), "{}", bomb(20));
        }
    }

    #[test]
    fn a_component_that_is_handed_is_not_instantiated() {
        let text = "(component (import \"c\" (component $c)) (instance (instantiate $c)))";
        assert_eq!(count(text), Err(ExtensionError::UnsupportedInstantiation));
    }

    #[test]
    fn types_in_types_do_not_end_the_reader() {
        // (type (component (type (component …
        let levels = 200_000;
        let mut body = vec![1_u8];
        for _ in 0..levels {
            body.extend([0x41, 1, 1]);
        }
        let mut bytes = b"\0asm\x0d\0\x01\0\x07".to_vec();
        let mut length = body.len();
        while length >= 0x80 {
            bytes.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend(body);
        assert!(matches!(crate::inspect(&bytes), Err(ExtensionError::NotWasm(reason)) if reason.contains("deeply")));
    }

    mod fuzz {
        use super::*;
        proptest! {
            #[test]
            fn damaged_structures_are_answered(at in any::<prop::sample::Index>(), byte: u8) {
                let mut bytes = wat::parse_str(handing(5)).unwrap();
                let at = at.index(bytes.len());
                bytes[at] = byte;
                let _ = crate::inspect(&bytes);
            }
        }
    }
}
