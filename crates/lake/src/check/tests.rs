use super::*;

#[test]
fn what_a_disk_cannot_read_is_a_problem_of_its_file_and_what_cannot_be_asked_is_an_error() {
    // Nothing is at the beginning of a process' memory.
    let failed = crc_of_file(Path::new("/proc/self/mem")).unwrap_err();
    let problem = of_disk(from_io("read", "a.parquet", failed)).unwrap();
    assert!(matches!(&problem, ProblemKind::Unreadable(_)), "{problem:?}");
    assert!(problem.to_string().starts_with("it cannot be read: "), "{problem}");
    let failed = crc_of_file(Path::new("/proc/self/nothing")).unwrap_err();
    of_disk(from_io("read", "a.parquet", failed)).unwrap_err();
    of_disk(Error::internal("another")).unwrap_err();
}
