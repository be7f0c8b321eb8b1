use super::*;

#[test]
fn each_property_has_its_own_id() {
    let ids: Vec<&str> = PROPERTIES.iter().map(|property| property.id).collect();
    assert_eq!(ids, ["O1", "O2", "O3", "O4", "O5", "O7", "O8"]);
}
