use super::*;

#[test]
fn the_example_of_the_standard() {
    // RFC 7677, section 3: user "user", password "pencil"; the server's key signs "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=".
    let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
    let verifier = verifier_with(Hash::Sha256, "pencil", &salt, 4096);
    let server_key = STANDARD.decode(verifier.rsplit(':').next().unwrap()).unwrap();
    let auth_message = "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                        s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    let signature = Hash::Sha256.keyed(&server_key, auth_message.as_bytes());
    assert_eq!(STANDARD.encode(signature), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

#[test]
fn a_password_fits_its_own_verifiers_only() {
    for hash in [Hash::Sha256, Hash::Sha512] {
        let verifier = verifier(hash, "correct horse");
        assert!(verifier.starts_with(hash.name()), "{verifier}");
        assert!(matches(Some(&verifier), "correct horse"));
        assert!(!matches(Some(&verifier), "correct horsf"));
        assert!(!matches(Some(&verifier), ""));
    }
}

#[test]
fn nobody_and_nonsense_fit_no_password() {
    let nonsense = [
        "",
        "SCRAM-SHA-256",
        "SCRAM-SHA-256$4096:$:",
        "SCRAM-SHA-256$0:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$99999999:AAAA$AAAA:AAAA",
        "MD5$4096:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$4096:***$***:***",
    ];
    for verifier in nonsense {
        assert!(!matches(Some(verifier), ""), "{verifier}");
        assert!(!matches(Some(verifier), "x"), "{verifier}");
    }
    assert!(!matches(None, ""));
}
