"""The driver's books: who is timed, who is blamed, and who only stood beside."""

from stsfusion.running.books import Books, News


def began(number, worker="a:1", heard=0.0, *, alone=False, width=1):
    address = f"tcp://{worker}"
    return News(number, address, worker, b"", alone, width, heard)


def slow(books, limit, now):
    return sorted(start.number for start in books.slow(limit, now))


def test_the_oldest_of_a_process_is_timed_from_when_it_is_the_oldest():
    books = Books(retries=2)
    for number, heard in ((0, 0.0), (1, 1.0), (2, 2.0)):
        books.begin(began(number, heard=heard))
    books.begin(began(7, "b:2", heard=5.0))
    assert slow(books, 10.0, 10.5) == [0]
    books.end(0, 11.0)
    assert slow(books, 10.0, 20.0) == [7], "task 1 only waited until 11"
    assert slow(books, 10.0, 21.5) == [1, 7]
    books.end(2, 21.5)
    assert slow(books, 10.0, 21.6) == [1, 7]


def test_a_wide_process_times_as_many_as_work_at_once():
    books = Books(retries=2)
    for number in range(3):
        books.begin(began(number, heard=float(number), width=2))
    assert slow(books, 10.0, 13.0) == [0, 1]
    books.end(0, 13.0)
    assert slow(books, 10.0, 14.0) == [1]
    assert slow(books, 10.0, 23.5) == [1, 2]


def test_who_began_anew_is_timed_anew_and_the_others_of_a_dead_process_are_not():
    books = Books(retries=2)
    books.begin(began(0, "a:1", 0.0))
    books.begin(began(1, "a:1", 1.0))
    books.begin(News(1, "tcp://a:1", "a:9", b"", True, 1, 20.0))
    assert slow(books, 10.0, 25.0) == [], "the process of task 0 is gone: it waits for another"
    assert slow(books, 10.0, 31.0) == [1]


def deaths(books, number, tries, company=()):
    """Begin a task this often; after each but the last its process dies. Who is said to be the killer."""
    found = None
    for attempt in range(tries):
        for other in company if attempt == 0 else ():
            books.begin(began(other, f"w:{attempt}", attempt - 0.5))
        books.begin(began(number, f"w:{attempt}", float(attempt), alone=attempt > 0))
        found = books.killer(number)
    return found


def test_a_killer_is_found_after_its_retries_and_an_innocent_one_is_not():
    books = Books(retries=2)
    assert deaths(books, 5, 3, company=(4,)) is None
    assert deaths(books, 5, 1) is not None
    assert books.deaths(5) == 3
    books.begin(began(4, "w:9", 9.0, alone=True))
    assert books.killer(4) is None
    assert books.deaths(4) == 1


def test_a_death_beside_others_alone_never_suffices():
    books = Books(retries=0)
    books.begin(began(0, "a:1"))
    books.begin(began(0, "b:2", 1.0, alone=True))
    assert books.killer(0) is None
    books.begin(began(0, "c:3", 2.0, alone=True))
    assert books.killer(0).worker == "b:2"


def test_who_stood_beside_a_task_that_was_ended_is_excused():
    books = Books(retries=0)
    books.begin(began(1, "a:1"))
    books.begin(began(2, "a:1", 1.0))
    books.begin(began(3, "b:2", 1.0))
    books.excuse(books.last(1))
    assert [number in books for number in (1, 2, 3)] == [True, False, True]
    books.end(1, 5.0)
    assert 1 not in books
    assert slow(books, 1.0, 9.0) == [3]
