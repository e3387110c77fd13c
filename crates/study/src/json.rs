//! JSON values: where they differ, and one added to another.

use serde_json::Value;

/// Path of the first field in which two JSON values differ.
pub(crate) fn difference(a: &Value, b: &Value, at: &str) -> Option<String> {
    match (a.as_object(), b.as_object()) {
        (Some(x), Some(y)) => x.keys().chain(y.keys()).find_map(|key| {
            let at = if at.is_empty() {
                key.clone()
            } else {
                format!("{at}.{key}")
            };
            difference(
                x.get(key).unwrap_or_default(),
                y.get(key).unwrap_or_default(),
                &at,
            )
        }),
        _ => (a != b).then(|| at.to_owned()),
    }
}

/// Adds the fields of an object to another.
pub(crate) fn extend(to: &mut Value, more: Value) {
    if let (Some(all), Value::Object(more)) = (to.as_object_mut(), more) {
        all.extend(more);
    }
}
