"""Challenges of HTTP and their answers, by the example of RFC 7616."""

from skylapse_bridge.camera.digest import Challenge, Request, answer, challenges, strongest


def test_digests_are_those_of_the_rfc() -> None:
    proofs = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, proof in proofs.items():
        header = (
            f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, '
            'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
            'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
        )
        offered = strongest([header], ["digest"])
        assert offered is not None
        own = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        request = Request(path="/dir/index.html", count=1, own_nonce=own)
        assert f'response="{proof}"' in answer(offered, "Mufasa", "Circle of Life", request)


def test_several_challenges_in_one_header_are_told_apart() -> None:
    offers = [
        'Basic realm="a, \\"b\\""',
        'Digest nonce="n", algorithm=MD5',
        'Digest nonce="m",algorithm=SHA-256',
    ]
    header = ",".join([*offers, "  Negotiate"])
    assert [(one.scheme, one.strength) for one in challenges([header])] == [
        ("basic", 1),
        ("digest", 2),
        ("digest", 4),
        ("negotiate", 0),
    ]
    assert challenges([header])[0].parameters["realm"] == 'a, "b"'
    assert strongest([header], ["basic"]) == Challenge(scheme="basic", parameters={"realm": 'a, "b"'})
