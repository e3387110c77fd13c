//! What each layer's attention sees: windows, and layers without positions.

use serde_json::Value;

use super::family::{Family, FamilySight};
use super::fields::Fields;
use crate::files::LoadError;
use crate::files::config::{LayerAttention, MOST_LAYERS};

const WINDOW: &str = "sliding_window";

/// The attention of `layers` layers. A number that no model has gives a shorter
/// list, which checking the whole configuration refuses afterwards.
pub(super) fn of_layers(
    fields: &Fields<'_>,
    family: &Family,
    layers: usize,
) -> Result<Vec<LayerAttention>, LoadError> {
    let layers = layers.min(MOST_LAYERS);
    let rotary = rotary(fields, family, layers)?;
    let window = window(fields, family)?;
    let by_family: Vec<bool> = match family.sight {
        FamilySight::Full => vec![false; layers],
        FamilySight::Window => vec![window.is_some(); layers],
        FamilySight::LastLayers => {
            let first = fields.size("max_window_layers")?.unwrap_or(28);
            let has = |layer| window.is_some() && layer >= first;
            (0..layers).map(has).collect()
        }
        FamilySight::WithoutPositions => {
            let has = |rotary: &bool| window.is_some() && !rotary;
            rotary.iter().map(has).collect()
        }
        FamilySight::Alternating => (0..layers).map(|layer| layer % 2 == 0).collect(),
    };
    let slides = match layer_types(fields)? {
        None => by_family,
        Some(slides) => {
            // Transformers has other names for families whose layers differ, and
            // passes over what these two say here.
            let alike = matches!(family.sight, FamilySight::Full | FamilySight::Window);
            if alike && slides != by_family {
                let problem = format!(
                    "names other kinds of attention than `{}` has in all its layers",
                    family.model_type
                );
                return Err(fields.wrong("layer_types", &problem));
            }
            slides
        }
    };
    if slides.contains(&true) && window.is_none() {
        let problem = "is off or not given, but layers have `sliding_attention`";
        return Err(fields.wrong(WINDOW, problem));
    }
    let kind = |(layer, slides): (usize, bool)| LayerAttention {
        window: window.filter(|_| slides),
        // A list of another length than the layers' is refused later on.
        rotary: rotary.get(layer).copied().unwrap_or(true),
    };
    Ok(slides.into_iter().enumerate().map(kind).collect())
}

/// The window of the layers that have one.
fn window(fields: &Fields<'_>, family: &Family) -> Result<Option<usize>, LoadError> {
    let given = fields.size(WINDOW)?;
    // Null says that there is none, absence that it is the usual one.
    let window = if fields.map.contains_key(WINDOW) {
        given
    } else {
        family.defaults.window
    };
    match family.sight {
        FamilySight::Full => match given {
            None => Ok(None),
            Some(_) => {
                let problem = format!("is set, and `{}` has no windows", family.model_type);
                Err(fields.wrong(WINDOW, &problem))
            }
        },
        FamilySight::Window | FamilySight::Alternating => Ok(window),
        FamilySight::LastLayers | FamilySight::WithoutPositions => {
            let used = fields.switch("use_sliding_window", false)?;
            Ok(window.filter(|_| used))
        }
    }
}

/// Which layers have windows, in the file's words.
fn layer_types(fields: &Fields<'_>) -> Result<Option<Vec<bool>>, LoadError> {
    const FIELD: &str = "layer_types";
    let Some(list) = fields.list(FIELD)? else {
        return Ok(None);
    };
    let slides = |kind: &Value| match kind.as_str() {
        Some("full_attention") => Ok(false),
        Some("sliding_attention") => Ok(true),
        _ => {
            let problem =
                format!("has {kind}; only `full_attention` and `sliding_attention` are supported");
            Err(fields.wrong(FIELD, &problem))
        }
    };
    // One more than there may be shows that there are too many.
    let list = list.iter().take(MOST_LAYERS + 1);
    list.map(slides).collect::<Result<_, _>>().map(Some)
}

/// Which layers rotate queries and keys by their positions.
fn rotary(fields: &Fields<'_>, family: &Family, layers: usize) -> Result<Vec<bool>, LoadError> {
    if !matches!(family.sight, FamilySight::WithoutPositions) {
        return Ok(vec![true; layers]);
    }
    const FIELD: &str = "no_rope_layers";
    let Some(list) = fields.list(FIELD)? else {
        const INTERVAL: &str = "no_rope_layer_interval";
        let interval = fields.size(INTERVAL)?.unwrap_or(4);
        if interval == 0 {
            return Err(fields.wrong(INTERVAL, "is 0, wanted at least 1"));
        }
        let rotates = |layer: usize| !(layer + 1).is_multiple_of(interval);
        return Ok((0..layers).map(rotates).collect());
    };
    if list.len() < layers {
        let problem = format!("has {} entries for {layers} layers", list.len());
        return Err(fields.wrong(FIELD, &problem));
    }
    // Despite the field's name, 1 says that a layer rotates.
    let rotates = |value: &Value| match value.as_u64() {
        Some(0) => Ok(false),
        Some(1) => Ok(true),
        _ => Err(fields.wrong(FIELD, &format!("has {value}, wanted 0 or 1"))),
    };
    list[..layers].iter().map(rotates).collect()
}
