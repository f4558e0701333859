use proptest::prelude::*;

use super::*;

fn parse(head: &str, children: &str) -> Result<Form, String> {
    let xml = format!("<x xmlns='{NS}' {head}>{children}</x>");
    let x: Element = xml.parse().expect("well-formed");
    Form::parse(&x).map_err(|error| error.condition.name().to_owned())
}

#[test]
fn a_form_is_read_and_written() {
    let form = Form::new(FormKind::Form, "urn:x")
        .titled("A title", "One line\nAnother")
        .field(Field::new("a", FieldKind::Boolean).label("A?").value("1"))
        .field(
            Field::new("b", FieldKind::ListMulti)
                .values(["x", "y"])
                .option("x", "An x")
                .option("y", "A y")
                .required(),
        );
    let element = form.to_element();
    assert_eq!(Form::parse(&element), Ok(form.clone()));
    assert_eq!(
        String::from(&element),
        "<x xmlns='jabber:x:data' type='form'><title>A title</title>\
         <instructions>One line</instructions><instructions>Another</instructions>\
         <field type='hidden' var='FORM_TYPE'><value>urn:x</value></field>\
         <field label='A?' type='boolean' var='a'><value>1</value></field>\
         <field type='list-multi' var='b'><required/><value>x</value><value>y</value>\
         <option label='An x'><value>x</value></option>\
         <option label='A y'><value>y</value></option></field></x>"
    );
    assert_eq!(form.value("b"), Some("x"));
    assert_eq!(form.values("b"), ["x", "y"]);
    assert_eq!(form.values("c"), [""; 0]);
    assert_eq!(form.bool("a"), Ok(Some(true)));
    assert_eq!(form.bool("c"), Ok(None));
    let error = form.bool("b").expect_err("no boolean");
    assert_eq!(error.text.as_deref(), Some("b is no boolean"));
}

#[test]
fn what_is_submitted_needs_no_types() {
    let form = parse(
        "type='submit'",
        "<field var='FORM_TYPE'><value>urn:x</value></field>\
         <field var='a'><value>1</value><value>2</value></field><field var='b'/>\
         <field var='c' type='later'><value/></field>",
    )
    .expect("a form");
    assert_eq!(form.form_type.as_deref(), Some("urn:x"));
    let kinds: Vec<_> = form.fields.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [None, None, Some(FieldKind::TextSingle)]);
    assert_eq!(form.value("b"), None);
    assert_eq!(form.value("c"), Some(""));
}

#[test]
fn a_table_has_heads_and_rows() {
    let table = table(
        "Hats",
        ["uri", "title"],
        &[["urn:h", "Host"], ["urn:p", "<P>"]],
    );
    assert_eq!(
        String::from(&table),
        "<x xmlns='jabber:x:data' type='result'><title>Hats</title>\
         <reported><field var='uri'/><field var='title'/></reported>\
         <item><field var='uri'><value>urn:h</value></field>\
         <field var='title'><value>Host</value></field></item>\
         <item><field var='uri'><value>urn:p</value></field>\
         <field var='title'><value>&lt;P&gt;</value></field></item></x>"
    );
}

#[test]
fn one_form_is_found_among_others() {
    let form = |form_type: &str| Form::new(FormKind::Submit, form_type).to_element();
    let parent = Element::builder("query", "urn:q")
        .append(form("urn:other"))
        .append(form("urn:x"))
        .build();
    let found = Form::find(&parent, "urn:x");
    assert_eq!(found, Ok(Some(Form::new(FormKind::Submit, "urn:x"))));
    assert_eq!(Form::find(&parent, "urn:y"), Ok(None));
}

#[test]
fn mistakes_and_too_much_are_refused() {
    let field = |var: usize| format!("<field var='f{var}'/>");
    let fields = |count: usize| (0..count).map(field).collect::<String>();
    let values = |count: usize| format!("<field var='a'>{}</field>", "<value/>".repeat(count));
    let long = |length: usize| {
        let value = "x".repeat(length - 1);
        format!("<field var='a'><value>{value}</value></field>")
    };
    let options = "<option><value/></option>".repeat(MAX_VALUES + 1);
    for (head, children, is_read) in [
        ("", String::new(), false),
        ("type='error'", String::new(), false),
        ("type='cancel'", String::new(), true),
        ("type='submit'", "<field/>".into(), false),
        ("type='submit'", "<field type='fixed'/>".repeat(2), true),
        ("type='submit'", field(1).repeat(2), false),
        ("type='submit'", "<field var='FORM_TYPE'/>".into(), false),
        (
            "type='submit'",
            "<field var='FORM_TYPE'><value>a</value></field>".repeat(2),
            false,
        ),
        (
            "type='form'",
            "<field var='a'><option/></field>".into(),
            false,
        ),
        (
            "type='submit'",
            "<field var='a' type='boolean'><value>1</value><value>0</value></field>".into(),
            false,
        ),
        ("type='submit'", fields(MAX_FIELDS), true),
        ("type='submit'", fields(MAX_FIELDS + 1), false),
        ("type='submit'", values(MAX_VALUES), true),
        ("type='submit'", values(MAX_VALUES + 1), false),
        ("type='submit'", long(MAX_BYTES), true),
        ("type='submit'", long(MAX_BYTES + 1), false),
        (
            "type='submit'",
            format!("<field var='a'>{options}</field>"),
            false,
        ),
    ] {
        let expected = if is_read { None } else { Some("bad-request") };
        let found = parse(head, &children).err();
        let begin: String = children.chars().take(80).collect();
        assert_eq!(found.as_deref(), expected, "{head} {begin}");
    }
    let other = Element::builder("x", "urn:x").with("type", "form").build();
    assert!(Form::parse(&other).is_err());
}

fn any_field() -> impl Strategy<Value = Field> {
    let kind = (0..FieldKind::ALL.len()).prop_map(|kind| FieldKind::ALL[kind].0);
    let options = proptest::collection::vec(("[a-z]{0,4}", "[A-Z]{0,4}"), 0..3);
    let values = proptest::collection::vec("[ a-zä<&'\"]{0,6}", 0..4);
    let rest = (values, options, any::<bool>());
    ("[a-z#]{1,8}", kind, "[A-Z]{0,8}", rest).prop_map(|(var, kind, label, rest)| {
        let (mut values, options, is_required) = rest;
        values.truncate(if kind.is_multi() { 4 } else { 1 });
        Field {
            var,
            kind: Some(kind),
            label,
            values,
            options,
            is_required,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(fields in proptest::collection::vec(any_field(), 0..6)) {
        let mut form = Form::new(FormKind::Result, "urn:x");
        for field in fields {
            if form.get(&field.var).is_none() {
                form = form.field(field);
            }
        }
        let xml = waxwing_xmpp::dom::serialize(&form.to_element());
        let element: Element = xml.parse().expect("well-formed");
        prop_assert_eq!(Form::parse(&element), Ok(form));
    }
}
