"""Whatever is turned away says what can be done about it."""

import pickle

from stsfusion.ingest.refusal import CrowdError, DeliveryError


def test_a_refusal_says_what_to_do_even_where_nobody_thought_of_it():
    plain = DeliveryError("file a.xml", expected="XML", got="noise")
    assert str(plain).splitlines()[0] == "file a.xml: expected XML, got noise."
    assert "fetch the delivery again" in str(plain).splitlines()[1]
    assert str(DeliveryError("terrain x", expected="y", mend="Buy one.")).endswith("\nBuy one.")
    again = pickle.loads(pickle.dumps(CrowdError("archive a.zip", expected="few", got="many")))
    assert isinstance(again, CrowdError)
    assert "move it out of the folder" in again.mend
