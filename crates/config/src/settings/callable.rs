//! In:     the word that names an app.
//! Out:    its module and its callable; or what is to be written.
//! Actors: none.
//! Never:  is a file taken for a module.

/// `MODULE:APP`, with what people write instead of it explained; `MODULE` alone is `MODULE:application`, as with Gunicorn.
pub(crate) fn callable(target: &str, by_flags: bool) -> Result<String, String> {
    if target.is_empty() && !by_flags {
        return Err("which app? write MODULE:APP, as in \"shop.wsgi:application\"".into());
    }
    if target.is_empty() {
        return Err("which app? write 'hallway run MODULE:APP', as in 'hallway run shop.wsgi:application'".into());
    }
    let (module, name) = target.split_once(':').unwrap_or((target, "application"));
    if module.is_empty() || name.is_empty() {
        let word = target.trim_matches(':');
        return Err(format!("'{target}' names no app; write MODULE:APP, as in '{}:app'", module_of(word)));
    }
    if let Some(factory) = name.strip_suffix("()") {
        let module = module_of(module);
        return Err(match by_flags {
            true => format!("'{target}' is a call; write '--factory {module}:{factory}'"),
            false => format!("'{target}' is a call; write wsgi = \"{module}:{factory}\" and factory = true"),
        });
    }
    if module_of(module) != module {
        return Err(format!("'{module}' is a file; write its module: '{}:{name}'", module_of(module)));
    }
    Ok(format!("{module}:{name}"))
}

/// The module of a file: `shop/wsgi.py` is `shop.wsgi`.
fn module_of(file: &str) -> String {
    file.trim_start_matches("./").trim_end_matches(".py").replace('/', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callable_is_named_by_its_module() {
        let read = |text: &str| callable(text, false);
        assert_eq!(read("shop.wsgi:app"), Ok("shop.wsgi:app".into()));
        assert_eq!(read("shop.wsgi"), Ok("shop.wsgi:application".into()));
        for (text, mend) in [
            ("", "which app? write MODULE:APP, as in \"shop.wsgi:application\""),
            ("shop/wsgi.py", "'shop/wsgi.py' is a file; write its module: 'shop.wsgi:application'"),
            ("./app.py:app", "'./app.py' is a file; write its module: 'app:app'"),
            (":app", "':app' names no app; write MODULE:APP, as in 'app:app'"),
            ("shop:make()", "'shop:make()' is a call; write wsgi = \"shop:make\" and factory = true"),
        ] {
            assert_eq!(read(text), Err(mend.into()), "{text}");
        }
        assert!(callable("shop:make()", true).unwrap_err().ends_with("write '--factory shop:make'"));
    }
}
