//! What is found in small trees, and what is told as passed over.

use super::*;

fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(tree.path().join(name), bytes).unwrap();
    }
    tree
}

fn scan_one(tree: &tempfile::TempDir, keys: &[&str]) -> Found {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    scan(&[tree.path().to_owned()], &keys).unwrap()
}

/// `key:line`, `key:line as name`, … of one file's text.
fn check(text: &str, keys: &[&str], expected: &str) {
    let found = scan_one(&tree(&[("a.js", text.as_bytes())]), keys);
    let told = found.places.iter().flat_map(|(key, places)| places.iter().map(move |place| (key, place)));
    let told = told.map(|(key, place)| match &place.camel_case {
        Some(name) => format!("{key}:{} as {name}", place.line),
        None => format!("{key}:{}", place.line),
    });
    assert_eq!(told.collect::<Vec<_>>().join(", "), expected, "{text}");
}

#[test]
fn whole_words_are_found_once_a_line() {
    check("checkout checkout\n\non('checkout')", &["checkout", "never"], "checkout:1, checkout:3");
    check("checkouts my_checkout checkout2 recheckout", &["checkout"], "");
}

#[test]
fn a_dot_or_dash_hides_no_key_and_the_longest_key_wins() {
    check("flags.checkout", &["checkout"], "checkout:1");
    check("checkout-v2\n-checkout\ncheckout.new\n", &["checkout"], "checkout:1, checkout:2, checkout:3");
    let keys = ["checkout", "checkout-v2", "checkout.new", "old-checkout"];
    check("checkout-v2", &keys, "checkout-v2:1");
    check("x.checkout.new", &keys, "checkout.new:1");
    check("old-checkout", &keys, "old-checkout:1");
    check("checkout-v2-old", &keys, "checkout-v2:1");
    check("checkout-v23", &keys, "checkout:1");
    check("checkout-v2 checkout", &keys, "checkout:1, checkout-v2:1");
    // Neither is within the other.
    check("old-checkout-v2", &keys, "checkout-v2:1, old-checkout:1");
}

#[test]
fn the_name_of_use_flags_is_found_and_told_as_such() {
    check("const { newCheckout } = useFlags()", &["new-checkout"], "new-checkout:1 as newCheckout");
    check("flags.newCheckout\nnewCheckouts", &["new-checkout"], "new-checkout:1 as newCheckout");
    for both in ["newCheckout, 'new-checkout'", "'new-checkout', newCheckout"] {
        check(both, &["new-checkout"], "new-checkout:1");
    }
    // Nobody can tell which of them is meant: all count.
    check(
        "newCheckout",
        &["new-checkout", "new.checkout", "newCheckout"],
        "new-checkout:1 as newCheckout, new.checkout:1 as newCheckout, newCheckout:1",
    );
}

#[test]
fn what_is_passed_over_is_named() {
    let tree = tree(&[
        (".gitignore", b"out.js\n"),
        ("a.js", b"checkout"),
        ("out.js", b"checkout"),
        ("picture", b"\0checkout"),
        ("large.js", &vec![b' '; (4 << 20) + 1]),
    ]);
    let found = scan_one(&tree, &["checkout"]);
    assert_eq!(found.places["checkout"].len(), 1);
    assert_eq!((found.files, &found.unreadable, &found.empty), (1, &Vec::new(), &Vec::new()));
    assert_eq!((found.binary, found.large), (vec!["picture".into()], vec!["large.js".into()]));
    assert!(scan(&[tree.path().join("a.js")], &["checkout".to_owned()]).is_err());
}

#[test]
fn utf_16_that_says_so_is_read_and_other_is_binary() {
    let wide = |bytes_of: fn(u16) -> [u8; 2], text: &str| text.encode_utf16().flat_map(bytes_of).collect::<Vec<u8>>();
    let found = scan_one(
        &tree(&[
            ("big", &wide(u16::to_be_bytes, "\u{feff}\non('checkout')")),
            ("little", &wide(u16::to_le_bytes, "\u{feff}é\n\non('checkout')")),
            ("unsaid", &wide(u16::to_le_bytes, "checkout")),
            ("odd", b"\xff\xfec\0h"),
            ("utf-32", b"\xff\xfe\0\0c\0\0\0"),
        ]),
        &["checkout"],
    );
    let place = |file: &str, line| Place { file: file.into(), line, camel_case: None };
    assert_eq!(found.places["checkout"], [place("big", 2), place("little", 3)]);
    assert_eq!((found.files, found.binary), (2, ["odd", "unsaid", "utf-32"].map(PathBuf::from).to_vec()));
}

#[test]
fn directories_are_counted_together_and_no_file_twice() {
    let (one, two) = (tree(&[("a.js", b"checkout")]), tree(&[("a.js", b"checkout"), (".gitignore", b"out\n")]));
    let keys = ["checkout".to_owned()];
    let (first, second) = (one.path().to_owned(), two.path().to_owned());
    let found = scan(&[first.clone(), second.clone(), second.join("."), first.clone()], &keys).unwrap();
    let files: Vec<_> = found.places["checkout"].iter().map(|place| place.file.clone()).collect();
    assert_eq!(files, [first.join("a.js"), second.join("a.js")]);
    assert_eq!((found.files, found.empty), (2, Vec::new()));
    std::fs::create_dir(second.join("none")).unwrap();
    let found = scan(&[first, second.join("none")], &keys).unwrap();
    assert_eq!(found.empty, [second.join("none")]);
}
